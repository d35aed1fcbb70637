// An administrator looks at what was done: the audit log with filters, groups, graph and pivot, its check by the daemon, a file of it; and
// replaces a webhook secret while the former one is still accepted. Names that are HTML stay words on every screen.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');
const { person: number } = require('../lib/scene.js');

const SEEN = 90; // s
const SCRIPT = '<script>window.wabridgeHacked = 1</script>';
const IMAGE = '<img src=x onerror="window.wabridgeHacked = 2">';

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD', 'WHAPI_CONFIGURATION_ID');
    const { env, admin, db } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const mark = crypto.randomBytes(4).toString('hex');
    const rows = (operation) => db.value('SELECT count(*)::int FROM whatsapp_audit_log WHERE operation = $1', [operation]);

    await suite.step('something is done, and something is refused', async () => {
        const uid = await admin.uid();
        await demo.bridge.result('message.send', { uid, configuration_id: account, to: number(), type: 'text', text: { body: 'Audited ' + mark } });
        const refused = await demo.bridge.call('configuration.health', { uid: await demo.user.uid(), configuration_id: 987654321 });
        assert.ok(refused.error, 'an account that is not his');
        await until('both rows', async () => await rows('message.send') > 0 && await rows('rpc.refused') > 0, SEEN);
    });

    await withBrowser(suite, demo, shots, async (person) => {
        const { page } = person;
        const old = person.series < 17;
        const cells = async () => page.$$eval('.o_list_view .o_data_row', (list) => list.map((row) => row.innerText));
        const searchMenu = (kind) => page.click(old ? '.o_' + (kind === 'filter' ? 'filter' : 'group_by') + '_menu button'
            : '.o_searchview_dropdown_toggler');
        const pick = async (kind, entry) => {
            await searchMenu(kind);
            await page.click((old ? '.o_control_panel .dropdown-menu.show, .o_control_panel .o-dropdown-menu, .o_control_panel .o_dropdown_menu'
                : '.o_search_bar_menu') + ' >> text="' + entry + '"');
            await page.keyboard.press('Escape');
            await page.waitForSelector('.o_searchview_facet');
        };
        const clear = async () => {
            while (await page.locator('.o_searchview_facet .o_facet_remove').count()) {
                await page.locator('.o_searchview_facet .o_facet_remove').first().click();
                await page.waitForTimeout(300);
            }
        };

        await suite.step('log in as administrator', () => person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD));

        await suite.step('the audit log tells what was done, in words', async () => {
            await person.menu('WhatsApp', 'Configuration', 'Audit Logs');
            await page.waitForSelector('.o_list_view');
            await until('the send', () => person.rows('Send a message'), SEEN);
            assert.ok(await person.rows('Refused call'));
            await person.shot('audit-log');
        });

        await suite.step('only what failed, only what was refused', async () => {
            await pick('filter', 'Refused');
            await until('refused rows alone', async () => (await cells()).length && (await cells()).every((row) => /Refused|without a valid/.test(row)));
            await clear();
            await pick('filter', 'Sends');
            await until('sends alone', async () => (await cells()).length && (await cells()).every((row) => /Send/.test(row)));
            await clear();
            await pick('filter', 'Today');
            await until('today\'s', () => person.rows('Send a message'));
            await person.shot('audit-today');
            await clear();
        });

        await suite.step('grouped by operation', async () => {
            await pick('group', 'Operation');
            await until('a group', () => page.locator('.o_group_header').filter({ hasText: 'message.send' }).count());
            await person.shot('audit-grouped');
            await clear();
        });

        await suite.step('graph and pivot of response times', async () => {
            await page.click('.o_cp_switch_buttons .o_graph, .o_switch_view.o_graph');
            await page.waitForSelector('.o_graph_view canvas, .o_graph_renderer canvas');
            await page.waitForTimeout(1500); // it is drawn
            await person.shot('audit-graph');
            await page.click('.o_cp_switch_buttons .o_pivot, .o_switch_view.o_pivot');
            await page.waitForSelector('.o_pivot table');
            await until('the average', () => page.locator('.o_pivot').getByText('Response Time (ms)').count());
            assert.ok(await page.locator('.o_pivot').getByText('message.send').count());
            await person.shot('audit-pivot');
        });

        await suite.step('the daemon checks the log', async () => {
            await person.menu('WhatsApp', 'Configuration', 'Check the Audit Log');
            await person.dialog();
            await until('it is found intact', async () => {
                await person.button('action_verify');
                return person.words(/sealed rows are as they were written/).then(() => true, () => false);
            }, SEEN);
            assert.match(await person.value('new_head'), /^\d+:/);
            await person.shot('audit-verify');
            await page.locator('.modal button:visible').filter({ hasText: 'Close' }).first().click();
            await person.noDialog();
        });

        await suite.step('a webhook secret is replaced, the former one is accepted for a while', async () => {
            const channel = 'ROT-' + mark;
            const id = [].concat(await admin.call('whatsapp.configuration', 'create', [{ name: 'Rotated ' + mark, provider: 'whapi', channel_id: channel }]))[0];
            for (const secret of ['first-' + mark, 'second-' + mark]) {
                const wizard = [].concat(await admin.call('whatsapp.set.credentials.wizard', 'create', [{ configuration_id: id, webhook_secret: secret }]))[0];
                await admin.call('whatsapp.set.credentials.wizard', 'action_apply', [[wizard]]);
            }
            await person.action('whatsapp_integration.whatsapp_configuration_action', { id, model: 'whatsapp.configuration' });
            await until('the form says so', async () => (await person.value('former_names')).includes('Webhook Secret'));
            await person.shot('former-secret');
            await person.button('action_forget_former');
            await page.locator('.modal-footer .btn-primary').first().click();
            await until('the former one is forgotten', async () => !await db.value(
                'SELECT webhook_secret_former FROM whatsapp_configuration WHERE id = $1', [id]), SEEN);
            await admin.call('whatsapp.configuration', 'write', [[id], { active: false }]);
        });

        await suite.step('names that are HTML stay words', async () => {
            const chat = number().slice(1) + '@s.whatsapp.net';
            const contact = await db.value('INSERT INTO whatsapp_contact (configuration_id, contact_id, name, pushname, phone, is_wa_contact) '
                + 'VALUES ($1, $2, $3, $4, $5, true) RETURNING id', [account, chat, SCRIPT + mark, IMAGE, '+' + chat.split('@')[0]]);
            const message = await db.value('INSERT INTO whatsapp_message (configuration_id, message_id, chat_id, contact_id, direction, status, '
                + 'message_type, content, timestamp) VALUES ($1, $2, $3, $4, \'inbound\', \'delivered\', \'text\', $5, now() at time zone \'UTC\') RETURNING id',
            [account, 'html-' + mark, chat, contact, IMAGE + mark]);
            await db.value('INSERT INTO whatsapp_chat (configuration_id, chat_id, contact_id, last_message_id, last_message_at, unread_count) '
                + 'VALUES ($1, $2, $3, $4, now() at time zone \'UTC\', 1) RETURNING id', [account, chat, contact, message]);
            for (const [action, model, id] of [
                ['whatsapp_integration.whatsapp_contact_action', 'whatsapp.contact', contact],
                ['whatsapp_integration.whatsapp_message_action', 'whatsapp.message', message],
            ]) {
                await person.action(action, {});
                await page.waitForTimeout(500);
                await person.action(action, { id, model });
                await page.waitForTimeout(1000);
                assert.equal(await page.evaluate(() => window.wabridgeHacked), undefined, model);
            }
            await person.shot('html-name');
            await person.menu('WhatsApp', 'Inbox');
            await until('the chat', () => page.locator('.o_wa_inbox').getByText(SCRIPT + mark).count(), SEEN);
            await page.locator('.o_wa_inbox').getByText(SCRIPT + mark).first().click();
            await until('its message, beside its preview', async () => await page.locator('.o_wa_inbox').getByText(IMAGE + mark).count() > 1);
            assert.equal(await page.evaluate(() => window.wabridgeHacked), undefined, 'the Inbox');
            await person.shot('html-name-inbox');
        });

        await suite.step('a person is erased', async () => {
            const name = SCRIPT + mark;
            const contact = await db.value('SELECT id FROM whatsapp_contact WHERE name = $1', [name]);
            await person.action('whatsapp_integration.whatsapp_contact_action', { id: contact, model: 'whatsapp.contact' });
            await person.button('action_erase');
            await person.dialog();
            await person.shot('erase');
            await (await person.input('sure')).dispatchEvent('click');
            await person.button('action_erase');
            await until('nothing is known any more', async () => !await db.value('SELECT count(*)::int FROM whatsapp_contact WHERE name = $1', [name])
                && !await db.value('SELECT count(*)::int FROM whatsapp_message WHERE content = $1', [IMAGE + mark]), SEEN);
            await person.words(/Erased/);
            await person.shot('erased');
        });
    });
};
