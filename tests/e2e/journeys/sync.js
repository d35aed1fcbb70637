// An administrator brings the contacts of an account into Odoo: the Sync Wizard, a run that moves by itself, what was decided, a cancelled
// one, a schedule; and asks who is on WhatsApp. The account is the journey's own, so that no other one is told apart by it.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');
const { person: number } = require('../lib/scene.js');

const SEEN = 90; // s; an open form is read again at least every 30 s
const CROWD = 5000; // 10 pages at WHAPI
const SLOW = 6000; // ms; each page, while the provider is slow: a minute in which things can be seen to move

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { env, admin, db, simulator } = demo;
    const turn = crypto.randomInt(1000, 9999);
    const name = 'Night shift ' + turn;
    const token = crypto.randomBytes(20).toString('hex');
    const channel = 'SYNC-' + turn;
    const anna = number();
    const known = (saved) => simulator.control('POST', '/state', { people: [{ phone: anna.slice(1), name: 'Anna', saved_name: saved }] });
    const slow = () => simulator.fault({ provider: 'whapi', token, operation: 'contact.list', delay_ms: SLOW });
    const lastRun = () => db.row('SELECT * FROM whatsapp_sync_run WHERE configuration_id = $1 ORDER BY id DESC LIMIT 1', [account]);
    const contact = () => db.row('SELECT * FROM whatsapp_contact WHERE configuration_id = $1 AND phone = $2', [account, anna]);
    const base = await db.value('SELECT base_url FROM whatsapp_configuration WHERE id = $1', [Number(env.WHAPI_CONFIGURATION_ID)]);
    let account;

    try {
        await suite.step('an account of its own', async () => {
            await simulator.control('POST', '/state', {
                accounts: [{ provider: 'whapi', token, channel_id: channel, phone: number().slice(1), name }],
                contacts: CROWD,
            });
            await known('Anna Old');
            account = [].concat(await admin.call('whatsapp.configuration', 'create',
                [{ name, provider: 'whapi', channel_id: channel, base_url: base }]))[0];
            const wizard = [].concat(await admin.call('whatsapp.set.credentials.wizard', 'create', [{ configuration_id: account, token }]))[0];
            await admin.call('whatsapp.set.credentials.wizard', 'action_apply', [[wizard]]);
            await until('the daemon knows the account', async () => (await demo.bridge.result('configuration.test',
                { uid: await admin.uid(), configuration_id: account })).data.state === 'connected', SEEN, 500);
        });

        await withBrowser(suite, demo, shots, async (person) => {
            const { page } = person;
            /** A number that the form shows, as a whole. */
            const shown = async (field) => Number((await person.value(field)).replace(/[^0-9.]/g, '') || 'NaN');
            const percent = () => shown('progress');
            const opened = async () => {
                await page.waitForSelector('.o_form_view .o_statusbar_status');
                await person.noDialog();
            };

            const untick = async (field) => {
                await (await person.input(field)).dispatchEvent('click'); // in 14 its label covers it
                await until(field + ' is not ticked', async () => !await (await person.input(field)).isChecked());
            };

            await suite.step('log in as administrator', () => person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD));

            await suite.step('the Sync Wizard starts a run of this account', async () => {
                await slow();
                await person.action('whatsapp_integration.whatsapp_configuration_action', { id: account, model: 'whatsapp.configuration' });
                await person.button('action_synchronise');
                await person.dialog();
                await until('the account is chosen', async () => (await person.value('configuration_ids')).includes(name));
                await untick('groups');
                await person.shot('sync-wizard');
                await person.button('action_start');
                await opened();
                await until('the run', lastRun);
                await until('the form says Running', async () => await person.status() === 'Running', SEEN);
            });

            await suite.step('its progress moves by itself', async () => {
                await person.markLoad();
                const first = await until('some progress', async () => {
                    const now = await percent();
                    return now > 0 && now < 100 && now;
                }, SEEN);
                await person.shot('sync-running');
                const later = await until('more progress', async () => {
                    const now = await percent();
                    return now > first && now;
                }, SEEN);
                await simulator.noFaults();
                await until('the form says Done', async () => await person.status() === 'Done', SEEN);
                assert.ok(await person.sameLoad(), 'the page was loaded again');
                await until('the count of those read', async () => await shown('read_count') > CROWD, SEEN);
                const row = await lastRun();
                assert.equal(row.state, 'done');
                assert.equal(row.error_count, 0);
                assert.equal(row.created_count, row.read_count);
                await until('the line of the kind', () => person.sees('Contacts: ' + row.read_count + ' read'));
                await person.shot('sync-done');
                return first + ' % then ' + later + ' %';
            }, 300);

            await suite.step('a name written in Odoo', async () => {
                const { id, name: told } = await contact();
                assert.equal(told, 'Anna Old');
                await person.action('whatsapp_integration.whatsapp_contact_action', { id, model: 'whatsapp.contact' });
                await person.edit();
                await person.fill('name', 'Anna of ours');
                await person.save();
                await until('it is saved', async () => (await contact()).name === 'Anna of ours');
                assert.ok((await contact()).name_edited_at, 'when it was written');
                await until('it is shown', async () => await person.value('name') === 'Anna of ours');
                await person.shot('contact-named');
            });

            await suite.step('the provider has another name: the newer change stays, and the run says so', async () => {
                await known('Anna New');
                const before = (await lastRun()).id;
                await person.menu('WhatsApp', 'Configuration', 'Synchronise');
                await person.dialog();
                const tags = async () => person.value('configuration_ids');
                for (let chosen = await tags(); chosen && !chosen.includes(name); chosen = await tags()) {
                    await page.locator('.modal .o_field_widget[name="configuration_ids"] .o_delete').first().click();
                    await until('a tag less', async () => await tags() !== chosen);
                }
                await person.choose('configuration_ids', name);
                await until('the account is chosen', async () => (await tags()).includes(name));
                await untick('groups');
                await page.locator('.modal .o_field_widget[name="mode"] input[data-value="full"]').dispatchEvent('click'); // in 14 its label covers it
                await person.button('action_start');
                await opened();
                await until('another run', async () => (await lastRun()).id > before);
                await until('the form says Done', async () => await person.status() === 'Done', SEEN);
                const line = page.locator('.o_form_view .o_data_row').filter({ hasText: 'Anna of ours' }).filter({ hasText: 'Anna New' });
                await until('the decision', () => line.count(), SEEN);
                assert.match(await line.first().innerText(), /Odoo's kept/);
                assert.equal((await contact()).name, 'Anna of ours');
                const run = await lastRun();
                assert.equal(run.mode, 'full');
                assert.equal(run.created_count, 0);
                await person.shot('sync-decision');
                await person.button('action_items');
                await page.waitForSelector('.o_list_view');
                await until('the list of details', () => person.rows('Anna New'));
                await page.locator('.o_list_view button[name="action_open_record"]:visible').first().click();
                await until('the contact behind it', async () => await person.value('contact_id') === (await contact()).contact_id);
            }, 300);

            await suite.step('a run is cancelled', async () => {
                await slow();
                const { id: before } = await lastRun();
                await person.action('whatsapp_integration.whatsapp_sync_run_action', { id: before, model: 'whatsapp.sync.run' });
                await until('the form says Done', async () => await person.status() === 'Done');
                await person.button('action_again');
                const { id } = await until('another run', async () => {
                    const run = await lastRun();
                    return run.id > before && run;
                });
                await until('its form, that says Running', async () => await person.status() === 'Running', SEEN);
                await until('the form says Cancelled', async () => {
                    const now = await person.status();
                    if (now === 'Running') { // a re-read may take the button away just then
                        await page.locator('.o_form_view button[name="action_cancel"]:visible').click({ timeout: 5000 }).catch(() => undefined);
                    }
                    return now === 'Cancelled';
                }, SEEN, 2000);
                await simulator.noFaults();
                assert.equal(await db.value('SELECT state FROM whatsapp_sync_run WHERE id = $1', [id]), 'cancelled');
                await person.shot('sync-cancelled');
            }, 300);

            await suite.step('a schedule runs when asked, and shows its run', async () => {
                const service = await db.row(
                    "SELECT * FROM whatsapp_sync_service WHERE configuration_id = $1 AND name = 'Hourly'", [account]);
                await person.action('whatsapp_integration.whatsapp_sync_service_action', { id: service.id, model: 'whatsapp.sync.service' });
                await person.button('action_run_now');
                const run = await until('a run of the schedule', () => db.row(
                    "SELECT * FROM whatsapp_sync_run WHERE service_id = $1 AND state = 'done'", [service.id]), SEEN);
                assert.equal(run.user_id, await admin.uid());
                await until('the run in the form', () => page.locator('.o_form_view .o_data_row').filter({ hasText: 'Done' }).count(), SEEN);
                assert.equal((await db.row('SELECT requested_at FROM whatsapp_sync_service WHERE id = $1', [service.id])).requested_at, null);
                await person.shot('sync-schedule');
                await person.menu('WhatsApp', 'Configuration', 'Synchronisation Schedules');
                await until('both schedules', async () => await person.rows(name) === 2);
                await person.shot('sync-schedules');
            }, 240);

            await suite.step('who is on WhatsApp: chosen contacts are asked for in small calls', async () => {
                await person.action('whatsapp_integration.whatsapp_contact_action');
                const own = page.locator('.o_list_view .o_data_row').filter({ hasText: name });
                await until('contacts of this account', () => own.count());
                const chosen = Math.min(await own.count(), 12);
                for (let at = 0; at < chosen; at += 1) {
                    await own.nth(at).locator('.o_list_record_selector').click();
                }
                await until('all are ticked', async () => (await person.ticked()).length === chosen);
                const old = person.series < 17;
                await page.click(old ? '.o_cp_action_menus .o_dropdown_toggler_btn:has-text("Action"), .o_cp_action_menus button:has-text("Action")'
                    : '.o_cp_action_menus button .fa-cog, .o_cp_action_menus button:has(.fa-cog)');
                await page.locator(old ? '.o_cp_action_menus :is(.dropdown-item, .o_menu_item)' : '.o-dropdown--menu .o_menu_item, .o-dropdown--menu .dropdown-item')
                    .filter({ hasText: 'Who is on WhatsApp?' }).first().click();
                await person.dialog();
                await until('the people', async () => await shown('count_waiting') === chosen);
                await person.button('action_check');
                await page.waitForSelector('.o_wa_batches_box');
                await person.shot('check-running');
                await page.waitForSelector('.o_wa_batches_box', { state: 'detached', timeout: SEEN * 1000 });
                await until('everybody was asked for', async () => await shown('count_yes') + await shown('count_no') === chosen, SEEN);
                await person.shot('check-done');
            }, 240);

            await suite.check('the page raised no error', async () => {
                assert.deepEqual(person.errors.filter((error) => !/selfie_segmentation/.test(error)), []); // missing in Debian's odoo-19
            });
        });
    } finally {
        await simulator.noFaults();
        await simulator.control('POST', '/state', { contacts: 0 });
        if (account) {
            await admin.call('whatsapp.configuration', 'write', [[account], { active: false }]);
        }
    }
};
