// What can be done with a message after the fact, by its form's buttons.
'use strict';
const assert = require('node:assert/strict');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');
const { unique, person: somebody, messageIs, ACCEPTED } = require('../lib/scene.js');

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_USER_LOGIN', 'ODOO_USER_PASSWORD', 'SIMULATOR_URL', 'WHAPI_TOKEN');
    const { env } = demo;

    await withBrowser(suite, demo, shots, async (person) => {
        const open = (id) => person.action('whatsapp_integration.whatsapp_message_action', { id, model: 'whatsapp.message' });
        const send = async (text, more = {}) => (await demo.bridge.result('message.send',
            { uid: await demo.user.uid(), to: somebody(), type: 'text', text: { body: text }, ...more })).data.id;

        await suite.step('log in as a plain WhatsApp user', () => person.login(env.ODOO_USER_LOGIN, env.ODOO_USER_PASSWORD));

        await suite.check('a message that waits is not sent after all', async () => {
            const text = unique('Too early');
            await open(await send(text, { schedule_at: '2099-01-01T00:00:00Z' }));
            await person.button('action_cancel');
            await messageIs(demo, text, ['cancelled']);
            await until('the form says so', async () => await person.status() === 'Cancelled');
            await person.shot('change-cancelled');
        });

        await suite.check('a message that failed is sent again', async () => {
            const text = unique('Second try');
            await demo.simulator.fault({ provider: 'whapi', token: env.WHAPI_TOKEN, operation: 'message.send', status: 400, times: 1,
                body: { error: { code: 400, message: 'not today' } } });
            const id = await send(text);
            await messageIs(demo, text, ['failed']);
            await open(id);
            await person.shot('change-failed');
            await person.button('action_retry');
            const row = await messageIs(demo, text, ACCEPTED);
            assert.equal(row.id, id, 'another row was made');
            assert.equal(row.error_code, null);
        });
    });
    await demo.simulator.noFaults();
};
