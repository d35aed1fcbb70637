// From a record of Odoo: its report is attached, sent, and what the recipient answers is posted on that record.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');
const { order, person: somebody, ACCEPTED } = require('../lib/scene.js');
const { letter, sendAction, takeAction } = require('../lib/letter.js');

const ACTION = 'Send the letter by WhatsApp';

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD', 'SIMULATOR_URL', 'WHAPI_TOKEN');
    const { env } = demo;
    const number = somebody();
    const name = 'Ada Lovelace ' + crypto.randomInt(1000, 9999);
    let partner;

    await withBrowser(suite, demo, shots, async (person) => {
        const { page } = person;
        const rows = () => demo.db.rows(
            "SELECT m.*, d.filename, d.mimetype, d.state AS media_state FROM whatsapp_message m LEFT JOIN whatsapp_media d ON d.id = m.media_id " +
            "WHERE m.res_model = 'res.partner' AND m.res_id = $1 ORDER BY m.id DESC", [partner]);
        const accepted = () => until('the message is accepted', async () => {
            const [row] = await rows();
            if (row && row.status === 'failed') {
                throw new Error('failed: ' + row.error_code + ' ' + row.error_message);
            }
            return row && ACCEPTED.includes(row.status) && row;
        }, 30, 200);
        /** The file of a message as the daemon sent it. */
        const sent = async (row) => {
            const path = '/media/' + row.media_id;
            const answer = await fetch(demo.bridge.url + path, { headers: { authorization: demo.bridge.sign('GET', path, '') } });
            assert.equal(answer.status, 200);
            return Buffer.from(await answer.arrayBuffer());
        };
        const openPartner = async () => {
            await person.action('base.action_partner_form', { id: partner, model: 'res.partner' });
            await until('the partner', () => page.locator('.o_form_view').getByText(name).count().then((n) => n ||
                page.locator('.o_form_view input').evaluateAll((all, wanted) => all.some((el) => el.value === wanted), name)));
        };

        await suite.step('a partner, a report and an action on it', async () => {
            await sendAction(demo, ACTION, { whatsapp_how: 'ask', whatsapp_report_id: await letter(demo), whatsapp_text: 'Your letter.' });
            partner = await demo.admin.call('res.partner', 'create', [{ name, phone: number }]);
            await person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD);
        });

        await suite.step('the WhatsApp button of a partner opens the wizard on it', async () => {
            await openPartner();
            await person.button('action_whatsapp_send');
            await person.dialog();
            assert.match(await person.value('partner_id'), new RegExp(name));
            const text = order('Dear Ada, thank you.');
            await person.fill('text', text);
            await person.shot('send-partner');
            await person.button('action_send');
            await person.noDialog();
            const row = await accepted();
            assert.equal(row.content, text);
        });

        await suite.step('the action of the document attaches its report', async () => {
            await takeAction(person, partner, ACTION);
            assert.equal(await page.locator('.modal input[data-value="document"]').isChecked(), true);
            await person.shot('send-report');
            await person.button('action_send');
            await person.noDialog();
            const row = await accepted();
            assert.equal(row.message_type, 'document');
            assert.equal(row.caption, 'Your letter.');
            assert.match(row.filename, /^Letter - Ada Lovelace \d+\.(pdf|html)$/);
            const bytes = await sent(row);
            if (row.filename.endsWith('.pdf')) {
                assert.equal(row.mimetype, 'application/pdf');
                assert.equal(bytes.subarray(0, 5).toString(), '%PDF-');
                assert.ok(bytes.length > 5000, 'a page of ' + bytes.length + ' bytes');
            }
            // wkhtmltopdf is not in every Debian release: without it the report goes as HTML, and the wizard said so.
            return row.filename.endsWith('.pdf') ? 'as PDF of ' + bytes.length + ' bytes' : 'as HTML: this server has no wkhtmltopdf';
        });

        await suite.step('the answer is posted on the document', async () => {
            const text = order('Thank you for the letter.');
            await demo.simulator.inbound({ provider: 'whapi', token: env.WHAPI_TOKEN, from: number, from_name: 'Ada', type: 'text', text });
            await until('the answer on the partner', () => demo.db.value(
                "SELECT count(*) FROM mail_message WHERE model = 'res.partner' AND res_id = $1 AND body LIKE '%' || $2 || '%'", [partner, text])
                .then(Number), 90, 500);
            await openPartner();
            await until('the answer on the screen', () => page.getByText(text).count(), 30);
            await page.getByText(text).first().scrollIntoViewIfNeeded();
            await person.shot('send-answer');
        });

        await suite.check('the page raised no error', async () => {
            const ours = person.errors.filter((error) => !/selfie_segmentation/.test(error)); // missing in Debian's odoo-19
            assert.deepEqual(ours, []);
        });
    });
};
