// A report on partners, and actions that send it, as an administrator makes them.
'use strict';

const MODULE = 'whatsapp_integration';

/** The id of the report "Letter" on partners; made once. */
async function letter(demo) {
    const { admin } = demo;
    const name = 'e2e_letter';
    const key = MODULE + '.' + name;
    const [found] = await admin.call('ir.actions.report', 'search', [[['report_name', '=', key]]]);
    if (found) {
        return found;
    }
    const view = await admin.call('ir.ui.view', 'create', [{
        name: key, key, type: 'qweb',
        arch: '<t t-name="' + key + '"><t t-call="web.html_container"><t t-foreach="docs" t-as="doc"><t t-call="web.external_layout">' +
            '<div class="page"><h1>Letter to <t t-esc="doc.name"/></h1></div></t></t></t></t>',
    }]);
    await admin.call('ir.model.data', 'create', [{ module: MODULE, name, model: 'ir.ui.view', res_id: view, noupdate: true }]);
    return admin.call('ir.actions.report', 'create', [{
        name: 'Letter', model: 'res.partner', report_type: 'qweb-pdf', report_name: key,
    }]);
}

/** A "Send WhatsApp" action in the Action menu of partners; made once for each name. */
async function sendAction(demo, name, values) {
    const { admin } = demo;
    const [found] = await admin.call('ir.actions.server', 'search', [[['name', '=', name]]]);
    const model = await demo.db.value("SELECT id FROM ir_model WHERE model = 'res.partner'");
    if (found) {
        await admin.call('ir.actions.server', 'write', [[found], values]);
        return found;
    }
    const action = await admin.call('ir.actions.server', 'create', [{ name, model_id: model, state: 'whatsapp', ...values }]);
    await admin.call('ir.actions.server', 'create_action', [[action]]);
    return action;
}

/** Opens the form of a partner and takes an entry of its Action menu, which opens a dialog. */
async function takeAction(person, partner, name) {
    const { page } = person;
    const old = person.series < 17;
    await person.action('base.action_partner_form', { id: partner, model: 'res.partner' });
    await page.click(old ? '.o_cp_action_menus .o_dropdown_toggler_btn:has-text("Action"), .o_cp_action_menus button:has-text("Action")'
        : '.o_cp_action_menus button .fa-cog, .o_cp_action_menus button:has(.fa-cog)');
    await page.locator(old ? '.o_cp_action_menus :is(.dropdown-item, .o_menu_item)' : '.o-dropdown--menu .o_menu_item, .o-dropdown--menu .dropdown-item')
        .filter({ hasText: name }).first().click();
    await person.dialog();
}

module.exports = { letter, sendAction, takeAction };
