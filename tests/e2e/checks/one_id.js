// One id tells the whole story of a request: Odoo's log, the daemon's log, the audit log, the attempt, the provider's call.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { until } = require('../lib/suite.js');
const { unique, person, serverAction, doorB, messageIs, ACCEPTED } = require('../lib/scene.js');

const PROVIDERS = ['WHAPI', 'WASSENGER', 'META', 'CUSTOM'];

/** Lines of one of the demo's logs that hold a word. */
function grep(demo, name, word) {
    const file = path.join(path.dirname(demo.file), 'log', name + '.log');
    return fs.readFileSync(file, 'utf8').split('\n').filter((line) => line.includes(word));
}

module.exports = async (suite, demo) => {
    demo.need('SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { db, simulator, env } = demo;

    /** Looks for the id of a sent message in all five places; `asked` is how Odoo's line begins. */
    const story = async (id, message, asked, mark, text) => {
        assert.match(id, /^[0-9A-Za-z_-]{16,64}$/);
        const odoo = grep(demo, 'odoo', 'request.id=' + id);
        assert.equal(odoo.length, 1, 'lines in Odoo\'s log: ' + odoo.length);
        assert.ok(odoo[0].includes(asked), odoo[0]);
        const daemon = await until('the daemon\'s log has it', () => {
            const lines = grep(demo, 'daemon', id);
            return lines.some((line) => line.includes('message ' + message + ': attempt 1 at')) && lines;
        });
        const audit = await until('the audit log has it', () => db.rows(
            'SELECT operation, success FROM whatsapp_audit_log WHERE request_id = $1', [id]).then((rows) => rows.length && rows));
        assert.deepEqual(audit, [{ operation: 'message.send', success: true }]);
        const attempts = await db.rows('SELECT message_id, number, outcome FROM wabridge.attempt WHERE request_id = $1', [id]);
        assert.deepEqual(attempts, [{ message_id: message, number: 1, outcome: 'accepted' }]);
        const calls = (await simulator.requests(mark)).filter(({ headers }) => headers['x-request-id'] === id);
        assert.equal(calls.length, 1, 'calls at the provider: ' + calls.length);
        assert.ok(JSON.stringify(calls[0].body).includes(text), 'another call has the id');
        for (const line of [...odoo, ...daemon]) {
            assert.ok(!line.includes(text), 'a log tells what people write: ' + line);
        }
        return odoo.length + ' + ' + daemon.length + ' lines, 1 audit row, 1 attempt, 1 call';
    };

    for (const provider of PROVIDERS.filter((name) => env[name + '_CONFIGURATION_ID'])) {
        // Meta takes texts in the 24 hours after the customer wrote.
        const to = person();
        await suite.check('a route of Odoo\'s, ' + provider.toLowerCase(), async () => {
            const account = Number(env[provider + '_CONFIGURATION_ID']);
            if (provider === 'META') {
                const text = unique('asks');
                await simulator.inbound({ provider: 'meta', token: env.META_TOKEN, from: to.slice(1), type: 'text', text });
                await until('the question is there', () => db.row('SELECT id FROM whatsapp_message WHERE content = $1', [text]));
            }
            const [text, mark] = [unique('one id'), await simulator.mark()];
            const answer = await demo.admin.route('/whatsapp/send/text', { to, message: text, configuration_id: account });
            assert.equal(answer.success, true, JSON.stringify(answer));
            await messageIs(demo, text, ACCEPTED);
            return story(answer.meta.request_id, answer.data.id, 'rpc.method=message.send', mark, text);
        });
    }

    await suite.check('a transaction of Odoo\'s', async () => {
        const [text, mark] = [unique('one id'), await simulator.mark()];
        await serverAction(demo, doorB(person(), text));
        const row = await messageIs(demo, text, ACCEPTED);
        return story(row.request_id, row.id, 'queued', mark, text);
    });

    await suite.check('a call that sends nothing: its line in both logs, its audit row, its call at the provider', async () => {
        const mark = await simulator.mark();
        const account = Number(env.WHAPI_CONFIGURATION_ID);
        await demo.admin.call('whatsapp.configuration', 'action_test', [[account]]);
        const [row] = await db.rows(
            "SELECT request_id FROM whatsapp_audit_log WHERE operation = 'configuration.test' ORDER BY id DESC LIMIT 1");
        const id = row.request_id;
        assert.equal(grep(demo, 'odoo', 'request.id=' + id).length, 1, 'Odoo\'s log');
        assert.ok(grep(demo, 'daemon', id).some((line) => line.includes('configuration.test')), 'the daemon\'s log');
        assert.ok((await simulator.requests(mark)).some(({ headers }) => headers['x-request-id'] === id), 'no call at the provider');
    });
};
