/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

// The dialog that the button was in stays below the bar until the next one takes its place.
registry.category("actions").add("whatsapp_batches", async (env, action) => {
    const next = await window.WhatsappBatches.run(action.params, {
        _t,
        rpc: (model, method, args) => env.services.orm.silent.call(model, method, args),
    });
    return env.services.action.doAction(next);
});
