// What an administrator sees: accounts, credentials, users, the log, alerts, erasure.
'use strict';

const account = ({ boss }, id, name) => boss.openForm('whatsapp_configuration_action', 'whatsapp.configuration', id, name);
const userForm = async ({ demo, boss }) => {
    await boss.action('base.action_res_users', { id: await demo.user.uid(), model: 'res.users' });
    await boss.seen(() => boss.page.locator('.o_notebook .nav-link').count());
};

module.exports = [
    {
        names: ['accounts'],
        async play({ boss }) {
            await boss.action('whatsapp_integration.whatsapp_configuration_action');
            await boss.seen(() => boss.rows('Acme Relay'));
            await boss.picture('accounts');
        },
    },
    {
        names: ['menu'],
        async play({ boss }) {
            await boss.action('whatsapp_integration.whatsapp_configuration_action');
            await boss.page.locator('.o_menu_sections').getByText('Configuration', { exact: true }).first().click();
            await boss.page.getByText('Synchronisation Schedules').first().waitFor();
            await boss.picture('menu');
        },
    },
    {
        names: ['account', 'account-sending', 'credentials'],
        async play(stage) {
            const { boss, world, demo } = stage;
            const rules = (values) => demo.admin.call('whatsapp.configuration', 'write', [[world.support], values]);
            await rules({ pace_per_second: 1, daily_limit: 1000, undo_s: 10 });
            await demo.bridge.result('configuration.test', { uid: await demo.admin.uid(), configuration_id: world.support });
            await account(stage, world.support, 'Acme Support');
            await boss.seen(async () => await boss.status() === 'Connected');
            await boss.picture('account');
            await boss.tab('Sending');
            await boss.picture('account-sending', { height: 860 });
            await boss.button('action_set_credentials');
            await boss.dialog();
            await boss.picture('credentials');
            await boss.closeDialog();
            await rules({ pace_per_second: 0, daily_limit: 0, undo_s: 0 });
        },
    },
    {
        names: ['account-tested', 'account-new'],
        async play(stage) {
            const { boss, demo, world } = stage;
            await boss.action('whatsapp_integration.whatsapp_configuration_action');
            await boss.page.locator(boss.old ? '.o_list_button_add' : '.o_list_button_add').filter({ visible: true }).first().click();
            await boss.page.waitForSelector('.o_form_view');
            await boss.type({ name: 'Acme Workshop', channel_id: 'OTTER-J7K2P' });
            await boss.picture('account-new');
            await boss.action('whatsapp_integration.whatsapp_contact_action').catch(() => undefined); // 14 may ask first
            await demo.admin.call('whatsapp.configuration', 'unlink', [await demo.admin.call('whatsapp.configuration', 'search', [[['channel_id', '=', 'OTTER-J7K2P']]])]);
            await account(stage, world.support, 'Acme Support');
            await boss.button('action_test');
            await boss.words(/connected/i);
            await boss.picture('account-tested', { told: true });
        },
    },
    {
        names: ['credentials-meta', 'account-meta'],
        async play(stage) {
            const { boss, world } = stage;
            await account(stage, world.meta, 'Acme Service');
            await boss.picture('account-meta');
            await boss.button('action_set_credentials');
            await boss.dialog();
            await boss.picture('credentials-meta');
            await boss.closeDialog();
        },
    },
    {
        names: ['user-accounts', 'user-rights'],
        async play(stage) {
            const { boss } = stage;
            await userForm(stage);
            await boss.picture('user-rights', { height: 900 });
            for (const tab of await boss.page.locator('.o_notebook .nav-link').all()) { // wherever the view puts it
                await tab.click();
                if (await boss.page.locator('.o_field_widget[name="whatsapp_configuration_ids"]:visible').count()) {
                    break;
                }
            }
            await boss.picture('user-accounts');
        },
    },
    {
        names: ['former-secret'],
        async play(stage) {
            const { boss, world, demo } = stage;
            const id = await world.found('whatsapp.configuration', [['name', '=', 'Acme Showroom']], { provider: 'whapi', channel_id: 'HERON-K42QY' });
            for (const secret of ['first-of-the-pictures', 'second-of-the-pictures']) {
                const wizard = await world.create('whatsapp.set.credentials.wizard', { configuration_id: id, webhook_secret: secret });
                await demo.admin.call('whatsapp.set.credentials.wizard', 'action_apply', [[wizard]]);
            }
            await account(stage, id, 'Acme Showroom');
            await boss.seen(async () => (await boss.value('former_names')).includes('Webhook Secret'));
            await boss.picture('former-secret');
            await demo.admin.call('whatsapp.configuration', 'write', [[id], { active: false }]);
        },
    },
    {
        names: ['document-action'],
        async play(stage) {
            const { boss, demo, world } = stage;
            const model = await demo.db.value("SELECT id FROM ir_model WHERE model = 'res.partner'");
            const id = await world.found('ir.actions.server', [['name', '=', 'Send the offer by WhatsApp']], {
                model_id: model, state: 'whatsapp', whatsapp_how: 'ask', whatsapp_text: 'Dear customer, here is our offer.',
            });
            await boss.openForm('ir_actions_server_action', 'ir.actions.server', id, 'Send the offer by WhatsApp');
            await boss.picture('document-action');
        },
    },
    {
        names: ['alert'],
        async play(stage) {
            const { boss, demo, world } = stage;
            const activity = await demo.db.value("SELECT res_id FROM ir_model_data WHERE module = 'mail' AND name = 'mail_activity_data_warning'");
            const model = await demo.db.value("SELECT id FROM ir_model WHERE model = 'whatsapp.configuration'");
            const made = await world.create('mail.activity', {
                activity_type_id: activity, res_model_id: model, res_id: world.support, user_id: await demo.admin.uid(),
                summary: 'The day\'s limit of a WhatsApp account is near', note: '912 of 1000 messages were sent today (UTC).',
            });
            await boss.action('whatsapp_integration.whatsapp_configuration_action');
            await boss.page.locator(boss.old ? '.o_mail_systray_item a:has(.fa-clock-o)' : '.o_menu_systray .o-mail-ActivityMenu, .o_menu_systray button:has(.fa-clock-o)')
                .first().click();
            await boss.page.getByText('WhatsApp account', { exact: false }).first().waitFor();
            await boss.picture('alert');
            await demo.admin.call('mail.activity', 'unlink', [[made]]);
        },
    },
    {
        names: ['audit-log', 'audit-pivot', 'audit-verify'],
        async play(stage) {
            const { boss, demo } = stage;
            const refused = await demo.bridge.call('configuration.health', { uid: await demo.user.uid(), configuration_id: 987654321 });
            if (!refused.error) {
                throw new Error('an account that is not there was told about');
            }
            await boss.action('whatsapp_integration.whatsapp_audit_log_action');
            await boss.seen(() => boss.rows('Send a message'));
            await boss.picture('audit-log');
            await boss.page.click('.o_cp_switch_buttons .o_pivot, .o_switch_view.o_pivot');
            await boss.page.waitForSelector('.o_pivot table');
            await boss.seen(() => boss.page.locator('.o_pivot').getByText('message.send').count());
            await boss.picture('audit-pivot');
            await boss.menu('WhatsApp', 'Configuration', 'Check the Audit Log');
            await boss.dialog();
            await boss.seen(async () => {
                await boss.button('action_verify');
                return boss.words(/sealed rows are as they were written/).then(() => true, () => false);
            }, 'the log is intact');
            await boss.picture('audit-verify');
            await boss.closeDialog();
        },
    },
    {
        names: ['quarantine'],
        async play(stage) {
            const { boss, demo } = stage;
            const answer = await demo.whapi({ channel_id: demo.env.WHAPI_CHANNEL_ID, event: { type: 'messages', event: 'post' }, messages: [{ id: 'PICTURE1', type: 'text' }] });
            if (answer.status !== 200) {
                throw new Error('the webhook was answered ' + answer.status);
            }
            await boss.action('whatsapp_integration.whatsapp_quarantine_action');
            await boss.seen(() => boss.page.locator('.o_list_view .o_data_row').count());
            await boss.picture('quarantine');
        },
    },
    {
        names: ['erase'],
        async play(stage) {
            const { boss, world } = stage;
            await boss.openForm('whatsapp_contact_action', 'whatsapp.contact', await world.contact('Hugo Martin'), 'Hugo Martin');
            await boss.button('action_erase');
            await boss.dialog();
            await boss.picture('erase');
            await boss.closeDialog();
        },
    },
];
