odoo.define('whatsapp_integration.batches', function (require) {
    'use strict';

    const core = require('web.core');
    const viewRegistry = require('web.view_registry');
    require('whatsapp_integration.live'); // its views are registered

    // The dialog that the button was in stays below the bar until the next one takes its place.
    core.action_registry.add('whatsapp_batches', function (parent, action) {
        const how = {
            _t: core._t,
            rpc: (model, method, args) => parent._rpc({ model, method, args }, { shadow: true }),
        };
        window.WhatsappBatches.run(action.params, how).then((next) => parent.do_action(next));
    });

    // 14 shows buttons of a list's header only beside chosen rows; this one is always there, as in 19.
    const View = viewRegistry.get('whatsapp_live_list');
    viewRegistry.add('whatsapp_sync_list', View.extend({
        config: Object.assign({}, View.prototype.config, {
            Controller: View.prototype.config.Controller.extend({
                renderButtons($node) {
                    this._super(...arguments);
                    const button = document.createElement('button');
                    button.type = 'button';
                    button.className = 'btn btn-secondary o_whatsapp_synchronise';
                    button.textContent = core._t('Synchronise');
                    button.addEventListener('click', () => this._synchronise());
                    this.$buttons = (this.$buttons || $('<div>')).append(button);
                    if ($node && !this.$buttons.parent().length) {
                        this.$buttons.appendTo($node);
                    }
                },
                async _synchronise() {
                    const args = [this.getSelectedIds()];
                    this.do_action(await this._rpc({ model: this.modelName, method: 'action_synchronise', args }));
                },
            }),
        }),
    }));
});
