// An administrator looks after the account: connection, credentials, users.
'use strict';
const assert = require('node:assert/strict');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD', 'ODOO_USER_LOGIN', 'WHAPI_CONFIGURATION_ID', 'WHAPI_TOKEN');
    const { db, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const { name } = await db.row('SELECT name FROM whatsapp_configuration WHERE id = $1', [account]);
    const token = () => db.value('SELECT token FROM whatsapp_configuration WHERE id = $1', [account]);

    await withBrowser(suite, demo, shots, async (person) => {
        await suite.step('log in as administrator', () => person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD));

        await suite.step('open the account by the menu', async () => {
            await person.menu('WhatsApp', 'Configuration', 'Configurations');
            await person.row(name);
            await until('the form of ' + name, async () => await person.value('name') === name);
        });

        await suite.check('Test connection says connected', async () => {
            await person.button('action_test');
            const words = await person.words(/connected/i);
            await person.shot('account-tested');
            if (await person.page.locator('.modal:visible').count()) {
                await person.page.locator('.modal .modal-footer .btn').first().click();
                await person.noDialog();
            }
            return words.replace(/\s+/g, ' ').trim();
        });

        await suite.check('the form shows the state Connected without reloading', async () => {
            await until('the status Connected', async () => await person.status() === 'Connected', 40);
            await person.closeNotifications();
            await person.shot('account');
        });

        await suite.step('Set credentials seals the token anew', async () => {
            const before = await token();
            await person.button('action_set_credentials');
            await person.dialog();
            await person.fill('token', env.WHAPI_TOKEN);
            await person.button('action_apply');
            await person.noDialog();
            const after = await until('another sealed token', async () => {
                const now = await token();
                return now !== before && now;
            });
            assert.match(after, /^wab1:/);
            assert.ok(!after.includes(env.WHAPI_TOKEN));
            const left = await db.rows('SELECT token FROM whatsapp_set_credentials_wizard WHERE token IS NOT NULL');
            assert.ok(left.every(({ token: value }) => value.startsWith('wab1:')), 'clear text in the row of the wizard');
        });

        await suite.check('the account still works with the token sealed anew', async () => {
            const { data } = await demo.bridge.result('configuration.test', { uid: await demo.admin.uid(), configuration_id: account });
            assert.equal(data.state, 'connected');
        });

        await suite.check('clear text is refused as a token', async () => {
            await assert.rejects(demo.admin.call('whatsapp.configuration', 'write', [[account], { token: 'clear text' }]),
                (error) => error.kind === 'odoo.exceptions.UserError' && /Set credentials/.test(error.message));
        });

        await suite.check('the user\'s form shows the account', async () => {
            const id = await db.value('SELECT id FROM res_users WHERE login = $1', [env.ODOO_USER_LOGIN]);
            await person.action('base.action_res_users', { id, model: 'res.users' });
            const tabs = person.page.locator('.o_notebook .nav-link');
            for (const tab of await tabs.all()) { // wherever the view puts it
                await tab.click();
                if (await person.page.locator('.o_field_widget[name="whatsapp_configuration_ids"]:visible').count()) {
                    break;
                }
            }
            await until('the account on the user\'s form', async () => (await person.value('whatsapp_configuration_ids')).includes(name));
            await person.shot('user-accounts');
        });

        await suite.check('the audit log shows what was done', async () => {
            await person.menu('WhatsApp', 'Configuration', 'Audit Logs');
            await until('a row in the audit log', () => person.rows(/./));
            await person.shot('audit-log');
        });
    });
};
