// Groups: a plain user creates one with somebody who refuses and somebody who is not on WhatsApp, adds people, makes an
// administrator, opens the invitation page; an administrator removes a person everywhere.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { open, withBrowser } = require('../lib/browser.js');
const { http } = require('../lib/demo.js');
const { until } = require('../lib/suite.js');
const { person: number } = require('../lib/scene.js');

const NOBODY = '+447700900801'; // not on WhatsApp
const REFUSES = '+447700900802'; // lets nobody add them to groups
const SEEN = 60; // s; an open form is read again at least every 30 s
const CALL = 90; // s; a call is at the provider while its button waits

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD', 'ODOO_USER_LOGIN', 'ODOO_USER_PASSWORD', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { env, db, simulator } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const turn = crypto.randomInt(1000, 9999);
    const name = 'Harbour festival ' + turn;
    const second = 'Harbour crew ' + turn;
    const [friend, later] = [number(), number()];
    let group;
    let address;

    const groupOf = (label) => db.row('SELECT * FROM whatsapp_group WHERE name = $1 AND configuration_id = $2', [label, account]);
    const member = (phone, id = group.id) => db.row(
        'SELECT m.*, coalesce(c.name, c.pushname, c.phone) AS label FROM whatsapp_group_member m' +
        ' JOIN whatsapp_contact c ON c.id = m.contact_id WHERE m.group_id = $1 AND c.phone = $2', [id, phone]);
    const messagesTo = (phone, text) => db.rows(
        "SELECT m.* FROM whatsapp_message m JOIN whatsapp_contact c ON c.id = m.contact_id" +
        " WHERE c.phone = $1 AND m.direction = 'outbound' AND strpos(m.content, $2) > 0", [phone, text]);

    await withBrowser(suite, demo, shots, async (person) => {
        const { page } = person;
        /** A button of the dialog; what it opens is there once `shows` is seen. */
        const press = async (button, shows) => {
            await person.button(button);
            await page.locator(shows).filter({ visible: true }).first().waitFor({ timeout: CALL * 1000 });
        };
        const inDialog = (selector) => '.modal:visible ' + selector;
        /** The lines of a result, as `name | result | reason`. */
        const lines = async () => (await page.locator('.modal:visible .o_field_widget[name="line_ids"] .o_data_row').allInnerTexts())
            .map((text) => text.trim().split(/\s*[\t\n]\s*/).join(' | '));
        const closeDialog = async () => {
            await page.locator('.modal:visible .modal-footer button, .modal:visible footer button').filter({ hasText: /^\s*Close\s*$/ })
                .filter({ visible: true }).first().click();
            await person.noDialog();
        };
        /** Says yes to the question that a button asks first. */
        const confirm = async (words) => {
            const asked = page.locator('.modal:visible').filter({ hasText: words });
            await asked.waitFor();
            await asked.locator('.modal-footer .btn-primary').click();
            await person.noDialog();
        };
        /** A button whose dialog may not come when the form is read again at that very moment: then it is pressed once more. */
        const opens = (button) => until('the dialog of ' + button, async () => {
            if (!await page.locator('.modal:visible .o_form_view').count()) {
                await page.locator('.o_form_view button[name="' + button + '"]').filter({ visible: true }).first().click({ timeout: 5000 });
            }
            return page.waitForSelector('.modal .o_form_view', { timeout: 15000 }).then(() => true, () => false);
        }, SEEN, 300);
        const openGroup = async () => {
            await person.action('whatsapp_integration.whatsapp_group_action', { id: group.id, model: 'whatsapp.group' });
            await until('its form', async () => await person.value('name') === name || person.sees(name));
        };
        /** A button on the tab Invitation. A form that is read again just then may show its first tab again: then once more. */
        const invitationButton = (button) => until('the button ' + button, async () => {
            const found = page.locator('.o_form_view button[name="' + button + '"]').filter({ visible: true }).first();
            if (!await found.count()) {
                await page.locator('.o_notebook .nav-link').filter({ hasText: 'Invitation' }).first().click();
            }
            return found.click({ timeout: 5000 }).then(() => true, () => false);
        }, SEEN, 300);
        const row = (label) => page.locator('.o_field_widget[name="member_ids"] .o_data_row').filter({ hasText: label }).first();

        await suite.step('log in as a plain WhatsApp user', () => person.login(env.ODOO_USER_LOGIN, env.ODOO_USER_PASSWORD));

        await suite.step('Create Group: details, participants, settings', async () => {
            await person.menu('WhatsApp', 'Groups', 'Create Group');
            await person.dialog();
            await person.fill('name', name);
            await person.fill('description', 'Who does what at the festival');
            await person.shot('group-create-details');
            await press('action_to_people', inDialog('[name="numbers"]'));
            await person.fill('numbers', friend + '\n' + REFUSES + ', ' + NOBODY);
            await person.shot('group-create-people');
            await press('action_to_settings', inDialog('[name="join_approval"]'));
            await person.shot('group-create-settings');
        });

        await suite.step('the result says for each person what came of it', async () => {
            await press('action_create_group', inDialog('.o_field_widget[name="line_ids"] .o_data_row'));
            const told = await lines();
            assert.equal(told.length, 3, told.join('\n'));
            const of = (phone) => told.find((line) => line.startsWith(phone));
            assert.match(of(friend), /Added/);
            assert.match(of(REFUSES), /Got the invitation/);
            assert.match(of(NOBODY), /Not on WhatsApp/);
            const qr = page.locator('.modal:visible .o_field_widget[name="invite_qr"] img');
            await until('the QR code is drawn', () => qr.evaluate((img) => img.complete && img.naturalWidth > 100));
            await person.shot('group-create-result');
            group = await until('the row', () => groupOf(name));
            assert.match(group.invite_link, /^https:\/\/chat\.whatsapp\.com\//);
            assert.equal((await member(friend)).state, 'joined');
            assert.equal((await member(REFUSES)).state, 'invited');
            assert.equal(await member(NOBODY), undefined);
            await until('the invitation is on its way', async () => (await messagesTo(REFUSES, group.invite_link)).length === 1, 30);
        }, CALL + 60);

        await suite.step('its form has the members', async () => {
            await press('action_open_group', '.o_field_widget[name="member_ids"] .o_data_row');
            await person.noDialog();
            const { label } = await member(friend);
            await row(label).waitFor();
            assert.equal(await page.locator('button[name="action_remove"]:visible, button[name="action_remove_people"]:visible').count(), 0,
                'a user is offered to remove people');
            await person.shot('group-form');
        });

        await suite.step('Add People without invitation: one is added, one refuses and is invited afterwards', async () => {
            await openGroup();
            await opens('action_add_people');
            await person.fill('numbers', later + ', ' + REFUSES + ', ' + friend);
            await page.locator('.modal:visible .o_field_widget[name="invite"] input').first().dispatchEvent('click'); // in 14 its label covers it
            await press('action_add', inDialog('.o_field_widget[name="line_ids"] .o_data_row'));
            const told = await lines();
            const of = (phone) => told.find((line) => line.startsWith(phone));
            assert.match(of(later), /Added/);
            assert.match(of(REFUSES), /Does not let others add them/);
            assert.match(of(friend), /Is a member already/);
            await person.shot('group-add-result');
            const before = (await messagesTo(REFUSES, group.invite_link)).length;
            await person.button('action_invite_rest');
            await until('the line says so', async () => (await lines()).some((line) => line.startsWith(REFUSES) && /Got the invitation/.test(line)), CALL);
            await until('one more invitation', async () => (await messagesTo(REFUSES, group.invite_link)).length === before + 1, 30);
            await closeDialog();
            assert.equal((await member(later)).state, 'joined');
        }, 2 * CALL + 60);

        await suite.step('make an administrator of a member, and a plain member again', async () => {
            await openGroup();
            const { label } = await member(later);
            await row(label).locator('button[name="action_promote"]').click();
            await until('the role', async () => (await member(later)).role === 'admin', CALL);
            await row(label).filter({ hasText: 'Make Plain Member' }).waitFor({ timeout: SEEN * 1000 });
            await person.shot('group-promoted');
            await row(label).locator('button[name="action_demote"]').click();
            await until('the role again', async () => (await member(later)).role === 'member', CALL);
        }, 2 * CALL + SEEN);

        await suite.step('turn the invitation page on', async () => {
            await openGroup();
            await invitationButton('action_open_page');
            await confirm('Turn the page on?');
            const token = await until('its address', () => db.value(
                'SELECT token FROM whatsapp_group_invitation WHERE group_id = $1 AND active', [group.id]), CALL);
            address = env.ODOO_URL + '/whatsapp/invitation/' + token;
            await until('the form shows it', async () => {
                await page.locator('.o_notebook .nav-link').filter({ hasText: 'Invitation' }).first().click();
                return (await person.value('page_url')).includes(token);
            }, SEEN, 300);
            await person.shot('group-invitation-tab');
        });

        await suite.step('anybody sees the page on a phone, and nothing else of the group', async () => {
            const stranger = await open({ series: person.series, url: env.ODOO_URL, shots }); // nobody is logged in there
            const phone = stranger.page;
            await phone.setViewportSize({ width: 390, height: 844 });
            const answer = await phone.goto(address);
            assert.equal(answer.status(), 200);
            assert.match(answer.headers()['x-robots-tag'], /noindex/);
            await phone.locator('h1', { hasText: name }).waitFor();
            assert.equal(await phone.locator('a').count(), 1);
            assert.equal(await phone.locator('a').getAttribute('href'), group.invite_link);
            assert.ok(await phone.locator('img.code').evaluate((img) => img.complete && img.naturalWidth > 100), 'no QR code');
            const text = await phone.locator('body').innerText();
            for (const hidden of ['Who does what', friend.slice(-6), group.group_id, 'Acme']) {
                assert.ok(!(await phone.content()).includes(hidden) && !text.includes(hidden), hidden + ' is shown');
            }
            assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'wider than a phone');
            await phone.screenshot({ path: shots + '/' + person.series + '-invitation-phone.png' });
            await phone.setViewportSize({ width: 1280, height: 800 });
            await phone.screenshot({ path: shots + '/' + person.series + '-invitation-desk.png' });
            await stranger.close();
        });

        await suite.step('taken back, its address is like one that never was', async () => {
            await openGroup();
            await invitationButton('action_close_page');
            await confirm('Turn the page off?');
            await until('it is taken back', () => db.value(
                'SELECT NOT active FROM whatsapp_group_invitation WHERE group_id = $1', [group.id]), CALL);
            const [gone, never] = [await http(address), await http(address.replace(/.{32}$/, 'A'.repeat(32)))];
            assert.deepEqual([gone.status, never.status], [404, 404]);
            assert.equal(gone.text, never.text);
        });

        await suite.step('a second group over HTTP, with the same friend in it', async () => {
            const user = await demo.anotherUser(env.ODOO_USER_LOGIN, env.ODOO_USER_PASSWORD);
            const made = await user.route('/whatsapp/groups/create', { name: second, participants: [friend] }, CALL * 1000);
            assert.ok(made.success, JSON.stringify(made));
            assert.equal(made.data.participants[0].result, 'added');
            assert.equal((await member(friend, made.data.id)).state, 'joined');
        }, CALL);

        await suite.step('an administrator removes the friend everywhere, with a farewell', async () => {
            const since = await simulator.mark();
            await person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD);
            await person.menu('WhatsApp', 'Groups', 'Remove Member');
            await person.dialog();
            await page.locator('.modal:visible .o_field_widget[name="person_type"] input[data-value="number"]').dispatchEvent('click'); // in 14 its label covers it
            await person.fill('number', friend);
            await person.fill('farewell', 'Thank you for everything ' + turn);
            await until('the groups of this person', async () => {
                const found = await (await person.widget('found_ids')).innerText();
                return found.includes(name) && found.includes(second);
            }, 30, 200);
            await person.shot('group-remove');
            await press('action_remove', inDialog('.o_field_widget[name="line_ids"] .o_data_row'));
            const told = await lines();
            assert.equal(told.length, 2, told.join('\n'));
            for (const label of [name, second]) {
                assert.match(told.find((line) => line.startsWith(label)), /Removed/);
            }
            await person.shot('group-removed');
            assert.equal((await member(friend)).state, 'removed');
            assert.equal((await member(friend, (await groupOf(second)).id)).state, 'removed');
            assert.equal((await member(later)).state, 'joined');
            await until('the farewell is at the provider', async () =>
                (await simulator.texts(since, 'Thank you for everything ' + turn)).length === 1, 30, 200);
            await closeDialog();
        }, CALL + 90);

        await suite.step('actions on ticked groups', async () => {
            await person.action('whatsapp_integration.whatsapp_group_action');
            for (const label of [name, second]) {
                await person.tick(label);
            }
            await until('both are ticked', async () => (await person.ticked()).length === 2);
            const old = person.series < 17;
            await page.locator(old ? '.o_cp_action_menus button:has-text("Action")' : '.o_cp_action_menus button:has(.fa-cog)')
                .filter({ visible: true }).first().click();
            await page.locator(old ? '.o_cp_action_menus :is(.dropdown-item, .o_menu_item)' : '.o-dropdown--menu :is(.o_menu_item, .dropdown-item)')
                .filter({ hasText: 'Update members' }).first().click();
            await page.locator(inDialog('.o_field_widget[name="line_ids"] .o_data_row')).first().waitFor({ timeout: CALL * 1000 });
            const told = await lines();
            assert.equal(told.length, 2, told.join('\n'));
            told.forEach((line) => assert.match(line, /Done \| \d+ members/));
            await person.shot('group-bulk');
            await closeDialog();
        }, CALL + 60);

        await suite.check('the page raised no error', async () => {
            assert.deepEqual(person.errors.filter((error) => !/selfie_segmentation/.test(error)), []); // missing in Debian's odoo-19
        });
        await page.close();
    });
};
