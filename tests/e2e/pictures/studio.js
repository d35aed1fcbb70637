// A person at a browser, as lib/browser.js has it, with what pictures need: screens that are complete and tidy.
'use strict';
const path = require('node:path');
const { until } = require('../lib/suite.js');

const SEEN = 60; // s

/** `person` with more to do; `keep(name, file)` gets each picture. */
function studio(person, keep, shots, home) {
    const { page } = person;
    const old = person.series < 17;
    const more = {
        old,
        /** The picture of what is shown now. `height` in pixels for what does not fit. `told` keeps notifications. */
        async picture(name, { height = 720, told = false } = {}) {
            await page.setViewportSize({ width: 1280, height });
            if (!told) {
                await person.closeNotifications();
            }
            await page.mouse.move(1279, height - 1);
            await page.evaluate(async () => {
                await document.fonts.ready;
                if (document.activeElement && document.activeElement.matches('input, textarea')) {
                    document.activeElement.blur();
                }
            });
            await until('nothing is loading', async () => !await page.locator('.o_loading:visible, .o_loading_indicator:visible, .o_blockUI:visible').count(), SEEN);
            await until('the pictures on the screen', () => page.evaluate(() => [...document.images]
                .every((image) => image.complete && (image.naturalWidth || !image.offsetParent))), SEEN);
            await page.waitForTimeout(700); // fades and growing bars
            const file = path.join(shots, name + '.png');
            await page.screenshot({ path: file, animations: 'disabled' });
            keep(name, file);
            await page.setViewportSize({ width: 1280, height: 720 });
        },
        async openForm(action, model, id, look) {
            await person.action('whatsapp_integration.' + action, { id, model });
            if (look) {
                await until('the form of ' + look, () => page.evaluate((words) => document.body.innerText.includes(words) ||
                    [...document.querySelectorAll('input, textarea')].some((el) => el.value === words), look), SEEN);
            }
        },
        /** A tab of a form, by its label. */
        tab: (label) => page.locator('.o_notebook .nav-link').filter({ hasText: new RegExp('^\\s*' + label + '\\s*$') }).first().click(),
        /** A radio button in a dialog or form. A form that is being made anew loses a click: repeated until the choice stays. */
        pick: (value, field) => until(value + ' is chosen', async () => {
            const option = page.locator((field ? '[name="' + field + '"] ' : '') + 'input[data-value="' + value + '"]').last();
            if (!await option.isChecked()) {
                await option.evaluate((el) => el.click());
            }
            await page.waitForTimeout(300);
            return option.isChecked();
        }, SEEN, 100),
        /** Fields that are typed until they hold it. */
        type: (values) => until('the form holds what was typed', async () => {
            for (const [field, value] of Object.entries(values)) {
                await person.fill(field, value);
            }
            await page.waitForTimeout(200);
            for (const [field, value] of Object.entries(values)) {
                const held = await (await person.input(field)).inputValue();
                if (held !== value && Number(held) !== Number(value)) {
                    return false;
                }
            }
            return true;
        }, SEEN),
        /** A choice of a selection field, by its label. */
        select: async (field, label) => {
            const box = await person.input(field);
            if (await box.evaluate((el) => el.matches('select'))) {
                return box.selectOption({ label });
            }
            await box.click(); // 19 has a list of its own
            return page.locator('.o_select_menu_item, .o-dropdown-item').filter({ hasText: new RegExp('^\\s*' + label + '\\s*$') }).first().click();
        },
        /** A tick box; in 14 its label covers it. */
        click: async (field) => (await person.input(field)).dispatchEvent('click'),
        /** A button of the dialog, and what must be there afterwards. */
        async press(name, selector) {
            await page.locator('.modal:visible button[name="' + name + '"]').filter({ visible: true }).first().click();
            await page.locator(selector).filter({ visible: true }).first().waitFor({ timeout: SEEN * 1000 });
        },
        async closeDialog() {
            await page.keyboard.press('Escape');
            await page.waitForSelector('.modal', { state: 'detached', timeout: 5000 }).catch(() => // one that Escape does not close
                page.locator('.modal:visible .modal-header :is(.btn-close, .close)').last().click());
            await person.noDialog();
        },
        /** The Action menu of a list or form, open. */
        async actions() {
            await page.locator(old ? '.o_cp_action_menus button:has-text("Action")' : '.o_cp_action_menus button:has(.fa-cog)')
                .filter({ visible: true }).first().click();
        },
        entry: (label) => page.locator(old ? '.o_cp_action_menus :is(.dropdown-item, .o_menu_item)' : '.o-dropdown--menu :is(.o_menu_item, .dropdown-item)')
            .filter({ hasText: new RegExp('^\\s*' + label.replace('?', '\\?') + '\\s*$') }).first(),
        async inbox(chat) {
            await page.goto('about:blank');
            await page.goto(home + (old ? '/web#action=whatsapp_integration.whatsapp_inbox_action' : '/odoo/action-whatsapp_integration.whatsapp_inbox_action'));
            await page.waitForSelector('.o_wa_inbox .o_wa_chat');
            if (chat) {
                await page.locator('.o_wa_chat').filter({ has: page.locator('.o_wa_name', { hasText: chat }) }).first().click();
                await page.waitForSelector('.o_wa_log .o_wa_row');
            }
        },
        /** As the person chooses, and the list of suggestions is gone afterwards. */
        async choose(...wanted) {
            await person.choose(...wanted);
            await page.keyboard.press('Tab');
            await page.waitForSelector(old ? '.ui-autocomplete:visible' : '.o-autocomplete--dropdown-menu', { state: 'hidden' });
        },
        seen: (look, what = 'what the picture shows') => until(what, look, SEEN, 200),
    };
    return { ...person, ...more };
}

module.exports = { studio };
