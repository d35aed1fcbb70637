odoo.define('whatsapp_integration.inbox', function (require) {
    'use strict';

    const AbstractAction = require('web.AbstractAction');
    const core = require('web.core');
    const session = require('web.session');
    const viewRegistry = require('web.view_registry');
    require('whatsapp_integration.live'); // its views are registered

    const WhatsappInboxAction = AbstractAction.extend({
        hasControlPanel: true,

        init(parent, action) {
            this._super(...arguments);
            this.params = action.params || {};
        },
        async start() {
            await this._super(...arguments);
            this.el.classList.add('o_wa_action');
            this.host = document.createElement('div');
            this.host.className = 'o_wa_host';
            (this.el.querySelector('.o_content') || this.el).append(this.host);
        },
        on_attach_callback() {
            this._super(...arguments);
            this._open();
        },
        on_detach_callback() {
            this._close();
            this._super(...arguments);
        },
        destroy() {
            this._close();
            this._super(...arguments);
        },
        _open() {
            this._close();
            this.inbox = new window.WhatsappInbox(this.host, {
                _t: core._t,
                lang: session.user_context.lang,
                params: this.params,
                details: 'current', // its dialogs have a button to save, for a form that nobody can change
                rpc: (method, args) => this._ask({ model: 'whatsapp.chat', method, args }, { shadow: true }),
                call: (model, method, ids) => this._rpc({ model, method, args: [ids] }),
                act: (request) => this.do_action(request),
                notify: (text, type) => this.displayNotification({ message: text, type }),
                live: (view) => this.call('whatsapp_live', 'add', view),
            });
        },
        _close() {
            if (this.inbox) {
                this.inbox.destroy();
                this.inbox = null;
            }
        },
        /** The Inbox shows itself what went wrong: no error dialog. */
        async _ask(params, options) {
            try {
                return await this._rpc(params, options);
            } catch (reason) {
                if (reason && reason.event) {
                    reason.event.preventDefault();
                }
                const error = (reason && reason.message) || reason;
                throw error instanceof Error ? error : Object.assign(new Error((error && error.message) || 'request failed'), { data: error && error.data });
            }
        },
    });

    core.action_registry.add('whatsapp_inbox', WhatsappInboxAction);

    // A chat that is opened from a list or from cards is opened in the Inbox; 19 has an attribute for that.
    const opening = (name, live) => {
        const View = viewRegistry.get(live);
        viewRegistry.add(name, View.extend({
            config: Object.assign({}, View.prototype.config, {
                Controller: View.prototype.config.Controller.extend({
                    async _onOpenRecord(ev) {
                        ev.stopPropagation();
                        const id = this.model.get(ev.data.id, { raw: true }).res_id;
                        this.do_action(await this._rpc({ model: 'whatsapp.chat', method: 'action_inbox', args: [[id]] }));
                    },
                }),
            }),
        }));
    };
    opening('whatsapp_chat_list', 'whatsapp_live_list');
    opening('whatsapp_chat_kanban', 'whatsapp_live_kanban');
    return WhatsappInboxAction;
});
