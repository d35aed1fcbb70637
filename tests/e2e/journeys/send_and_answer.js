// A plain WhatsApp user sends from the wizard and watches status and answer arrive without reloading.
'use strict';
const assert = require('node:assert/strict');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');
const { order, messages, messageIs, ACCEPTED } = require('../lib/scene.js');

const ANSWERS = '+447700900803'; // the simulator's person who answers each text
const LOST = '+447700900804'; // never gets anything: its statuses come from us
const SEEN = 30; // s; a lost hint is made up for within 30 s, so hints are asked for in the database as well

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_USER_LOGIN', 'ODOO_USER_PASSWORD', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID', 'WHAPI_WEBHOOK_TOKEN');
    const { env } = demo;
    const partner = await demo.db.value('SELECT partner_id FROM res_users WHERE login = $1', [env.ODOO_USER_LOGIN]);

    await withBrowser(suite, demo, shots, async (person) => {
        const { page } = person;
        const sendByWizard = async (number, text, picture) => {
            await person.menu('WhatsApp', 'Send Message');
            await person.dialog();
            await person.fill('number', number);
            await person.fill('text', text);
            if (picture) {
                await person.shot(picture);
            }
            await person.button('action_send');
            await person.noDialog();
            await until('the form of the message', () => person.sees(text));
        };

        await suite.step('log in as a plain WhatsApp user', () => person.login(env.ODOO_USER_LOGIN, env.ODOO_USER_PASSWORD));

        const first = order('Is the blue model in stock?');
        await suite.step('send from the wizard, by the menu', async () => {
            await sendByWizard(ANSWERS, first, 'send-wizard');
            await person.markLoad();
        });

        await suite.step('the message becomes read on the open form', async () => {
            const words = [];
            await until('the status Read on the form', async () => {
                const word = await person.status();
                if (word && word !== words[words.length - 1]) {
                    words.push(word);
                }
                return word === 'Read';
            }, SEEN, 20);
            assert.ok(await person.sameLoad(), 'the page was loaded again');
            await person.shot('message-read');
            const [row] = await messages(demo, first);
            for (const fact of ['sent_at', 'delivered_at', 'read_at']) {
                assert.ok(row[fact], fact + ' is empty');
            }
            assert.equal(row.user_id, await demo.user.uid());
            return 'shown: ' + words.join(' → ');
        });

        await suite.check('the daemon told the browsers through the bus', async () => {
            const channel = JSON.stringify([env.ODOO_DB, 'res.partner', partner]);
            const told = await demo.db.rows('SELECT message FROM bus_bus WHERE channel = $1 ORDER BY id DESC LIMIT 20', [channel]);
            const ours = told.map(({ message }) => JSON.parse(message)).filter(({ type }) => type === 'wabridge/changed');
            assert.ok(ours.length, 'no wabridge/changed on ' + channel);
            assert.ok(ours.every(({ payload }) => Object.values(payload).every((ids) => ids.every(Number.isInteger))), 'ids only');
        });

        await suite.step('sent, then delivered, then read: each shown as its webhook comes in', async () => {
            const text = order('Your parcel is on its way.');
            await sendByWizard(LOST, text);
            await person.markLoad();
            const row = await messageIs(demo, text, ['sent']);
            const shown = [];
            for (const [word, code] of [['sent', 2], ['delivered', 3], ['read', 4]]) {
                if (word !== 'sent') {
                    const answer = await demo.whapi({
                        statuses: [{ id: row.message_id, code, status: word, recipient_id: LOST.slice(1) + '@s.whatsapp.net',
                            timestamp: String(Math.floor(Date.now() / 1000)) }],
                        event: { type: 'statuses', event: 'post' }, channel_id: env.WHAPI_CHANNEL_ID,
                    });
                    assert.equal(answer.status, 200, answer.text);
                }
                const start = Date.now();
                await until('the form says ' + word, async () => (await person.status()).toLowerCase() === word, SEEN, 20);
                shown.push(word + ' ' + (Date.now() - start) + ' ms');
            }
            assert.ok(await person.sameLoad(), 'the page was loaded again');
            return shown.join(', ');
        });

        await suite.step('the list shows the first answer', async () => {
            await person.menu('WhatsApp', 'Messages');
            await until('the answer to ' + first, () => person.rows('Echo: ' + first), SEEN);
            await person.markLoad();
        });

        await suite.step('the answer to a second text appears in the open list', async () => {
            const text = order('And the red one?');
            const answer = await demo.bridge.result('message.send',
                { uid: await demo.user.uid(), to: ANSWERS, type: 'text', text: { body: text } });
            assert.ok(answer.data.id);
            await until('the answer in the list', () => person.rows('Echo: ' + text), SEEN, 20);
            await messageIs(demo, text, ACCEPTED);
            assert.ok(await person.sameLoad(), 'the page was loaded again');
            await person.shot('messages');
        });

        await suite.check('the page raised no error', async () => {
            const ours = person.errors.filter((error) => !/selfie_segmentation/.test(error)); // missing in Debian's odoo-19
            assert.deepEqual(ours, []);
        });
        await page.close();
    });
};
