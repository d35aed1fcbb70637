// A person at a browser in front of a real Odoo 14 or 19: what differs between the two series stands here.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { chromium } = require('playwright-core');

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];
const STEP = 30000; // ms until a page that lacks what a step needs is a failure
const MODAL = '.modal:visible';

/** Opens a browser; `series` is 14 or 19, `shots` the folder for screenshots. Every step waits for what it needs. */
async function open({ series, url, shots }) {
    const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
    if (!fs.existsSync(executablePath)) {
        throw new Error('no browser at ' + executablePath + ': install the package chromium or set CHROMIUM');
    }
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'wabridge-e2e-'));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath, headless: true, args: FLAGS, viewport: { width: 1280, height: 720 }, locale: 'en-US',
    });
    const page = context.pages()[0] || await context.newPage();
    page.setDefaultTimeout(STEP);
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    const old = series < 17;

    /** Where the user types: the dialog on top, else the page. */
    const scope = async () => page.locator(await page.locator(MODAL).count() ? '.modal .o_form_view' : '.o_form_view').last();
    const widget = async (field) => (await scope()).locator('.o_field_widget[name="' + field + '"]').first();
    const input = async (field) => (await scope()).locator(
        ':is(input,textarea,select).o_field_widget[name="' + field + '"], ' +
        '.o_field_widget[name="' + field + '"] :is(input,textarea,select)').first();

    const person = {
        page, errors, series,
        async close() {
            await context.close();
            fs.rmSync(profile, { recursive: true, force: true });
        },
        async login(user, password) {
            await context.clearCookies();
            await page.goto(url + '/web/login');
            await page.fill('.oe_login_form input[name=login]', user);
            await page.fill('.oe_login_form input[name=password]', password);
            await page.click('.oe_login_form button[type=submit]');
            await page.waitForSelector('.o_web_client .o_main_navbar');
        },
        /** By address: `action` is an XML id, `id` opens the form of that record. */
        async action(action, { id, type = 'list', model } = {}) {
            await page.goto('about:blank'); // else only the hash changes and 14 merges it into its state
            if (old) {
                const hash = new URLSearchParams({ action, view_type: id ? 'form' : type });
                if (id) { hash.set('id', id); }
                if (model) { hash.set('model', model); }
                await page.goto(url + '/web#' + hash);
            } else {
                const view = id ? '/' + id : type === 'list' ? '' : '?view_type=' + type;
                await page.goto(url + '/odoo/action-' + action + view);
            }
            await page.waitForSelector('.o_action_manager .o_' + (id ? 'form' : type) + '_view');
        },
        /** By menu, in the words the user reads, from the app down. The last entry opens a view or a dialog of that name. */
        async menu(app, ...entries) {
            if (old) {
                await page.click('.o_menu_apps > .dropdown > a');
                await page.click('.o_menu_apps .o_app >> text="' + app + '"');
                await page.waitForSelector('.o_menu_brand:has-text("' + app + '")');
            } else {
                await page.click('.o_navbar_apps_menu button');
                await page.click('.o-dropdown--menu .o_app >> text="' + app + '"');
                await page.waitForSelector('.o_menu_brand:has-text("' + app + '")');
            }
            await page.waitForSelector('.o_action_manager :is(.o_view_controller, .o_wa_inbox)'); // the app opens with its Inbox
            const more = page.locator(old ? '.o_menu_sections .o_extra_menu_items > a' : '.o_menu_sections_more').first();
            for (const entry of entries) {
                const shown = page.locator((old ? '.o_menu_sections' : '.o_menu_sections, .o-dropdown--menu') + ' >> text="' + entry + '"').first();
                await page.waitForTimeout(300); // what does not fit is being put under the plus sign
                if (!await shown.isVisible() && await more.isVisible()) {
                    await more.click();
                    if (entry !== entries[entries.length - 1] && await page.locator('.o_menu_sections >> text="' + entries[entries.length - 1] + '"').first().isVisible()) {
                        continue; // there the sections are open already
                    }
                }
                await shown.click();
            }
            await page.waitForFunction((title) => [...document.querySelectorAll(
                '.o_control_panel .breadcrumb-item.active, .o_control_panel .o_last_breadcrumb_item, .modal-title')]
                .some((el) => el.innerText.trim() === title), entries[entries.length - 1]);
        },
        /** A view button, by the `name` attribute of the XML: the same in both series and in every language. */
        async button(name) {
            const dialog = await page.locator(MODAL).count();
            await page.locator((dialog ? '.modal' : '.o_form_view') + ' button[name="' + name + '"]:visible').last().click();
        },
        dialog: () => page.waitForSelector('.modal .o_form_view'),
        noDialog: () => page.waitForSelector('.modal', { state: 'detached' }),
        /** The text of a dialog or notification, whichever is there first. */
        async words(pattern) {
            const found = page.locator('.modal:visible, .o_notification').filter({ hasText: pattern }).first();
            await found.waitFor();
            return found.innerText();
        },
        async closeNotifications() {
            const close = page.locator('.o_notification .o_notification_close');
            while (await close.count()) {
                await close.first().click();
                await page.waitForTimeout(300); // it fades
            }
        },
        row: (text) => page.click('.o_list_view .o_data_row:has-text("' + text + '") td.o_data_cell:not(.o_handle_cell) >> nth=0'),
        rows: (text) => page.locator('.o_list_view .o_data_row').filter({ hasText: text }).count(),
        tick: (text) => page.click('.o_list_view .o_data_row:has-text("' + text + '") .o_list_record_selector'),
        ticked: () => page.$$eval('.o_list_view .o_data_row', (rows) => rows
            .filter((row) => row.querySelector('.o_list_record_selector input:checked')).map((row) => row.innerText)),
        /** 14 shows a form read-only first, 19 is always editable. */
        async edit() {
            if (old) {
                await page.click('.o_form_button_edit');
                await page.waitForSelector('.o_form_editable');
            }
        },
        save: () => page.click('.o_form_button_save'),
        async discard() {
            await page.click('.o_form_button_cancel');
            if (old) { // it asks
                const sure = page.locator('.modal .btn-primary');
                await Promise.race([sure.click(), page.waitForSelector('.o_form_readonly')]).catch(() => undefined);
                await page.waitForSelector('.o_form_readonly');
            }
        },
        input,
        widget,
        async fill(field, text) {
            await (await input(field)).fill(text);
        },
        /** Takes the first suggestion of a many2one field for `text` that contains `entry`. */
        async choose(field, text, entry = text) {
            const box = await input(field);
            await box.click();
            await box.fill(text);
            await page.locator(old ? '.ui-autocomplete:visible .ui-menu-item' : '.o-autocomplete--dropdown-menu .o-autocomplete--dropdown-item')
                .filter({ hasText: entry }).first().click();
        },
        /** What a form shows, read-only or not; '' for a field that is not on the screen. */
        async value(field) {
            const shown = (await scope()).locator('.o_field_widget[name="' + field + '"]').first();
            if (!await shown.count()) {
                return '';
            }
            return shown.evaluate((el) => {
                if (el.querySelector('.o_tag, .badge')) {
                    return el.innerText.trim(); // the input of tags is for the next one
                }
                const box = el.matches('input,textarea,select') ? el : el.querySelector('input,textarea,select');
                const text = box ? (box.matches('select') ? (box.selectedOptions[0] || {}).text || '' : box.value) : el.innerText;
                return text.trim();
            });
        },
        /** The word of the status bar, '' while none is shown. */
        async status() {
            const current = page.locator('.o_statusbar_status:visible :is(.o_arrow_button_current, .btn-primary):visible').first();
            return await current.count() ? (await current.innerText()).trim() : '';
        },
        sees: async (text) => (await page.locator('.o_content').getByText(text).count()) > 0,
        /** Marks this load of the page; `sameLoad` tells later whether it was loaded again. */
        markLoad: () => page.evaluate(() => { window.wabridgeSameLoad = true; }),
        sameLoad: () => page.evaluate(() => window.wabridgeSameLoad === true),
        /** A screenshot, to look at when a check failed. Those of the documentation are made by pictures.js. */
        async shot(name) {
            await page.screenshot({ path: path.join(shots, series + '-' + name + '.png'), animations: 'disabled' });
        },
    };
    return person;
}

/** Opens a browser on the demo, plays `journey` and closes it; each failed check leaves a screenshot and the page's errors. */
async function withBrowser(suite, demo, shots, journey) {
    const person = await open({ series: await demo.series(), url: demo.env.ODOO_URL, shots });
    suite.onFailure = async (name) => {
        const file = 'failed-' + name.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 60);
        await person.shot(file).then(() => suite.print('       screenshot ' + series(person, file)),
            (error) => suite.print('       no screenshot: ' + error.message));
        person.errors.slice(-3).forEach((error) => suite.print('       the page said: ' + error.slice(0, 300)));
    };
    try {
        await journey(person);
    } finally {
        suite.onFailure = null;
        await person.close();
    }
}

const series = (person, file) => person.series + '-' + file + '.png';

module.exports = { open, withBrowser };
