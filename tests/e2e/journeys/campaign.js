// A plain WhatsApp user writes to many: a template and its preview, a campaign, its dry run, its start, its results.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');
const { person: number } = require('../lib/scene.js');

const SEEN = 60; // s; an open form is read again at least every 30 s

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_USER_LOGIN', 'ODOO_USER_PASSWORD', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { env, admin, db, simulator } = demo;
    const turn = crypto.randomInt(1000, 9999);
    const mark = 'Summer sale ' + turn;
    const good = [number(), number()];
    const people = [
        { name: 'Amira ' + turn, phone: good[0], ref: 'A-1' },
        { name: 'Ben ' + turn, phone: good[1], ref: 'B-2' },
        { name: 'Nobody ' + turn, ref: 'C-3' },
        { name: 'Short ' + turn, phone: '12', ref: 'D-4' },
        { name: 'Twin ' + turn, phone: good[0], ref: 'E-5' },
        { name: 'Codeless ' + turn, phone: number() },
    ];
    const partners = [];
    for (const values of people) {
        partners.push([].concat(await admin.call('res.partner', 'create', [values]))[0]);
    }
    const template = [].concat(await admin.call('whatsapp.message.template', 'create', [{
        name: mark, language: 'en_US', model: 'res.partner', header_text: 'Summer sale', footer_text: 'Acme Ltd',
        body: 'Dear {{1}}, your code is {{2}}.',
        variable_ids: [[0, 0, { placeholder: '1', field_path: 'name' }], [0, 0, { placeholder: '2', field_path: 'ref' }]],
    }]))[0];
    const cron = async () => {
        const id = await demo.ref('whatsapp_integration.cron_campaigns');
        // Odoo's own run of it may be under way: then this one is refused
        await until('the scheduled action runs', () => admin.call('ir.cron', 'method_direct_trigger', [[id]], {}, 120000).then(() => true), 60, 500);
    };
    const campaign = () => db.row('SELECT * FROM whatsapp_bulk_campaign WHERE name = $1', [mark]);

    await withBrowser(suite, demo, shots, async (person) => {
        const { page } = person;
        await suite.step('log in as a plain WhatsApp user', () => person.login(env.ODOO_USER_LOGIN, env.ODOO_USER_PASSWORD));

        await suite.step('a template shows its text, and its preview a record', async () => {
            await person.action('whatsapp_integration.whatsapp_message_template_action', { id: template, model: 'whatsapp.message.template' });
            await until('the text', () => person.sees('your code is'));
            await person.shot('template');
            await person.button('action_preview');
            await person.dialog();
            await until('a preview or what is missing', () => page.locator('.modal .o_whatsapp_bubble:visible, .modal .alert:visible').count());
            await person.shot('template-preview');
            await page.locator('.modal .modal-footer button, .modal footer button').filter({ hasText: 'Close' }).first().click();
            await person.noDialog();
        });

        /** One more tag. 14 empties the box only after a tag is in, and takes what was typed before with it: then it is typed again. */
        const tag = (field, text) => until('a suggestion of ' + text, async () => {
            const box = await person.input(field);
            await box.click();
            await box.fill('');
            await box.pressSequentially(text);
            const found = page.locator('.ui-autocomplete:visible .ui-menu-item, .o-autocomplete--dropdown-menu .o-autocomplete--dropdown-item')
                .filter({ hasText: text }).first();
            try {
                await found.click({ timeout: 4000 });
            } catch {
                return false;
            }
            await (await person.widget(field)).getByText(text).first().waitFor();
            return true;
        });

        await suite.step('make a campaign', async () => {
            await person.menu('WhatsApp', 'Campaigns');
            await page.locator('.o_list_button_add:visible').first().click();
            await page.waitForSelector('.o_form_view');
            await person.fill('name', mark);
            await page.locator('.o_field_widget[name="content_kind"] input[data-value="template"]').dispatchEvent('click'); // in 14 its label covers it
            await person.choose('template_id', mark);
            await page.locator('.o_field_widget[name="recipient_source"] input[data-value="list"]').dispatchEvent('click'); // in 14 its label covers it
            for (const { name } of people) {
                await tag('partner_ids', name);
            }
            await person.save();
            await until('it is saved', campaign);
            await until('the form is quiet', async () => person.series > 16 || await page.locator('.o_form_readonly').count());
            await until('the preview', () => person.sees('Dear ' + people[0].name + ', your code is A-1.'), SEEN);
            await person.shot('campaign-draft');
        });

        await suite.step('the dry run names who would fail, and why; nothing is sent', async () => {
            await person.button('action_check');
            await until('the state Checked', async () => await person.status() === 'Checked');
            await person.button('action_recipients');
            await page.waitForSelector('.o_list_view');
            const reasons = [['Nobody', 'No number'], ['Short', 'Impossible number'], ['Twin', 'The same number again'],
                ['Codeless', 'A placeholder is empty']];
            for (const [name, reason] of reasons) {
                const row = page.locator('.o_list_view .o_data_row').filter({ hasText: name + ' ' + turn });
                await until(name, async () => (await row.count()) === 1);
                assert.ok((await row.innerText()).includes(reason), name + ': ' + await row.innerText());
            }
            assert.equal(await page.locator('.o_list_view .o_data_row').count(), reasons.length);
            await person.shot('campaign-dry-run');
            assert.equal(await db.value("SELECT count(*)::int FROM whatsapp_message WHERE content LIKE '%' || $1 || '%'", [turn + ', your code']), 0);
        });

        const since = await simulator.mark();
        await suite.step('start it: each good recipient gets it once', async () => {
            const { id } = await campaign();
            await person.action('whatsapp_integration.whatsapp_bulk_campaign_action', { id, model: 'whatsapp.bulk.campaign' });
            await person.markLoad();
            await person.button('action_start');
            await page.locator('.modal:visible .btn-primary').first().click();
            await until('the form says Running', async () => ['Running', 'Done'].includes(await person.status()));
            await until('both were read', async () => await db.value(
                "SELECT count(*)::int FROM whatsapp_message m JOIN whatsapp_bulk_campaign_recipient r ON r.message_id = m.id" +
                " WHERE r.campaign_id = $1 AND m.status = 'read'", [id]) === 2, SEEN);
            const sent = await simulator.texts(since, turn + ', your code');
            assert.deepEqual(sent.map(({ text }) => text).sort(), [
                '*Summer sale*\n\nDear ' + people[0].name + ', your code is A-1.\n\n_Acme Ltd_',
                '*Summer sale*\n\nDear ' + people[1].name + ', your code is B-2.\n\n_Acme Ltd_',
            ]);
        });

        await suite.step('the open form follows to Done', async () => {
            await cron();
            await until('the form says Done', async () => await person.status() === 'Done', SEEN);
            assert.ok(await person.sameLoad(), 'the page was loaded again');
            assert.equal(await person.value('count_read'), '2');
            await person.shot('campaign-done');
            await person.button('action_recipients');
            await page.waitForSelector('.o_list_view');
            await until('the results', async () => await person.rows('Read') === 2);
            await person.shot('campaign-results');
        });

        await suite.step('from a list: the action menu makes a campaign of the ticked partners', async () => {
            const wizard = [].concat(await demo.admin.call('whatsapp.bulk.send.wizard', 'create',
                [{ text: 'Hello', name: mark + ' list' }], { context: { active_model: 'res.partner', active_ids: partners } }))[0];
            const action = await demo.admin.call('whatsapp.bulk.send.wizard', 'action_create', [[wizard]],
                { context: { active_model: 'res.partner', active_ids: partners } });
            await person.action('whatsapp_integration.whatsapp_bulk_campaign_action', { id: action.res_id, model: 'whatsapp.bulk.campaign' });
            await until('its recipients', async () => await person.value('source_count') === String(partners.length));
        });

        await suite.check('the page raised no error', async () => {
            assert.deepEqual(person.errors.filter((error) => !/selfie_segmentation/.test(error)), []); // missing in Debian's odoo-19
        });
        await page.close();
    });
};
