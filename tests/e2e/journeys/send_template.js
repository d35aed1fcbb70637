// A template of the provider whose header is a document: a record's report from the Action menu, and one file for a campaign.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');
const { person: somebody, ACCEPTED } = require('../lib/scene.js');
const { letter, sendAction, takeAction } = require('../lib/letter.js');

const ACTION = 'Send the invoice by WhatsApp';

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD', 'SIMULATOR_URL', 'META_CONFIGURATION_ID');
    const { env, admin, db, simulator } = demo;
    const account = Number(env.META_CONFIGURATION_ID);
    const turn = crypto.randomInt(1000, 9999);
    const create = async (model, values) => [].concat(await admin.call(model, 'create', [values]))[0];
    const name = 'Amira Osei ' + turn;
    let template;
    let partner;

    /** The template sends since `mark` that were accepted, oldest first, as the provider got them. */
    const templates = async (mark) => (await simulator.requests(mark))
        .map(({ body }) => (typeof body === 'string' ? tryJson(body) : body))
        .filter((body) => body && body.type === 'template');
    const uploads = async (mark) => (await simulator.requests(mark)).filter(({ method, path }) => method === 'POST' && /\/media$/.test(path));

    await suite.step('the templates of the account are fetched, and one is bound to fields', async () => {
        const sync = await create('whatsapp.message.template.sync', { configuration_id: account });
        await admin.call('whatsapp.message.template.sync', 'action_synchronise', [[sync]]);
        [template] = await admin.call('whatsapp.message.template', 'search', [[['configuration_id', '=', account], ['name', '=', 'invoice']]]);
        await admin.call('whatsapp.message.template', 'write', [[template], { model: 'res.partner' }]);
        const rows = await admin.call('whatsapp.message.template.variable', 'search_read', [[['template_id', '=', template]], ['placeholder', 'part']]);
        for (const { id, part, placeholder } of rows) {
            const path = part === 'button' || placeholder === '2' ? 'ref' : 'name';
            await admin.call('whatsapp.message.template.variable', 'write', [[id], { field_path: path }]);
        }
        const [{ problem, has_file_header: file }] = await admin.call('whatsapp.message.template', 'read', [[template], ['problem', 'has_file_header']]);
        assert.equal(problem, false);
        assert.equal(file, true);
        partner = await create('res.partner', { name, phone: somebody(), ref: 'INV-' + turn });
        await sendAction(demo, ACTION, { whatsapp_how: 'ask', whatsapp_report_id: await letter(demo), whatsapp_template_id: template, whatsapp_configuration_id: account });
    });

    await withBrowser(suite, demo, shots, async (person) => {
        const { page } = person;
        await suite.step('log in', () => person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD));

        await suite.step('the wizard on a record: its template is filled in, its report is the header', async () => {
            const since = await simulator.mark();
            await takeAction(person, partner, ACTION);
            await until('the values', async () => (await person.value('template_values')).includes(name));
            const filename = await person.value('file');
            await person.shot('send-template-file');
            const pdf = filename.endsWith('.pdf');
            if (!pdf) { // a server without wkhtmltopdf: WhatsApp takes no HTML there, so another file is chosen
                await page.locator('.modal .o_field_widget[name="file"] input[type="file"]').first().setInputFiles(
                    { name: 'Letter - ' + name + '.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4\n' + turn + '\n%%EOF\n') });
                await until('the file', async () => (await person.value('file')).endsWith('.pdf'));
            }
            await person.button('action_send');
            await person.noDialog();
            const row = await until('the message is accepted', async () => {
                const found = await db.row('SELECT * FROM whatsapp_message WHERE res_model = \'res.partner\' AND res_id = $1 ORDER BY id DESC LIMIT 1', [partner]);
                if (found && found.status === 'failed') {
                    throw new Error('failed: ' + found.error_code + ' ' + found.error_message);
                }
                return found && ACCEPTED.includes(found.status) && found;
            }, 30, 200);
            assert.equal(row.message_type, 'template');
            assert.ok(row.media_id, 'the row has no file');
            const [{ template: got }] = await templates(since);
            const header = got.components.find(({ type }) => type === 'header');
            assert.equal(header.parameters[0].type, 'document');
            assert.equal(header.parameters[0].document.filename, 'Letter - ' + name + '.pdf');
            const body = got.components.find(({ type }) => type === 'body');
            assert.deepEqual(body.parameters.map(({ text }) => text), [name, 'INV-' + turn]);
            await person.shot('template-sent');
            return pdf ? 'a PDF of the record' : 'no wkhtmltopdf here: a chosen file';
        });

        await suite.step('a campaign with this template: one file for all, uploaded once', async () => {
            const people = [];
            for (let n = 0; n < 3; n++) {
                people.push(await create('res.partner', { name: 'Guest ' + n, phone: somebody(), ref: 'C-' + turn + '-' + n }));
            }
            const bytes = Buffer.from('%PDF-1.4\n% ' + crypto.randomUUID() + '\n%%EOF\n');
            const campaign = await create('whatsapp.bulk.campaign', {
                name: 'Invoices ' + turn, configuration_id: account, content_kind: 'template', template_id: template, category: 'utility',
                recipient_source: 'list', partner_ids: [[6, 0, people]], file: bytes.toString('base64'), file_name: 'terms.pdf',
            });
            const since = await simulator.mark();
            await admin.call('whatsapp.bulk.campaign', 'action_start', [[campaign]], {}, 120000);
            await person.action('whatsapp_integration.whatsapp_bulk_campaign_action', { id: campaign, model: 'whatsapp.bulk.campaign' });
            await until('all were sent', () => db.value("SELECT count(*)::int = 3 FROM whatsapp_message m JOIN whatsapp_bulk_campaign_recipient r ON r.message_id = m.id" +
                " WHERE r.campaign_id = $1 AND m.status IN ('sent', 'delivered', 'read')", [campaign]), 60, 200);
            const headers = (await templates(since)).map((body) => body.template.components.find(({ type }) => type === 'header').parameters[0].document);
            assert.equal(headers.length, 3);
            assert.equal(new Set(headers.map(({ id }) => id)).size, 1);
            assert.equal(headers[0].filename, 'terms.pdf');
            assert.equal((await uploads(since)).length, 1);
            await until('the open form counts along', async () => await person.value('count_sent') === '3', 25);
            await person.shot('campaign-template');
        });

        await suite.check('the page raised no error', async () => {
            assert.deepEqual(person.errors.filter((error) => !/selfie_segmentation/.test(error)), []); // missing in Debian's odoo-19
        });
        await page.close();
    });
};

function tryJson(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}
