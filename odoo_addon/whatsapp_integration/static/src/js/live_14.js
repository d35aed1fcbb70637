odoo.define('whatsapp_integration.live', function (require) {
    'use strict';

    const AbstractService = require('web.AbstractService');
    const core = require('web.core');
    const FieldWrapper = require('web.FieldWrapper');
    const FormController = require('web.FormController');
    const FormView = require('web.FormView');
    const KanbanController = require('web.KanbanController');
    const KanbanView = require('web.KanbanView');
    const ListController = require('web.ListController');
    const ListView = require('web.ListView');
    const session = require('web.session');
    const viewRegistry = require('web.view_registry');

    // A re-read may replace a row whose badges and check boxes are still being made: then their wrapper has no
    // component (yet, or any more), which this method of Odoo's does not expect.
    const updateModifiersValue = FieldWrapper.prototype.updateModifiersValue;
    FieldWrapper.prototype.updateModifiersValue = function (modifiers) {
        if (this.componentRef.comp) {
            updateModifiersValue.call(this, modifiers);
        } else if (this.props.options.attrs) {
            this.props.options.attrs.modifiersValue = modifiers || {};
        }
    };

    core.serviceRegistry.add('whatsapp_live', AbstractService.extend({
        dependencies: ['bus_service'],

        start() {
            this.views = new window.WhatsappLiveViews();
            // The web client itself starts the polling, mail's controller adds the partner channel.
            this.call('bus_service', 'onNotification', this, this._onNotification);
        },
        add(view) {
            return this.views.add(view);
        },
        _onNotification(notifications) {
            for (const [channel, message] of notifications) {
                if (channel[1] === 'res.partner' && channel[2] === session.partner_id &&
                        message.type === 'wabridge/changed') {
                    this.views.hint(message.payload);
                }
            }
        },
    }));

    const Live = {
        on_attach_callback() {
            this._super(...arguments);
            this._liveStop();
            this._liveRemove = this.call('whatsapp_live', 'add', {
                model: this.modelName,
                id: () => this._liveId(),
                busy: () => this._liveBusy(),
                reload: () => this._liveReload(),
            });
        },
        on_detach_callback() {
            this._liveStop();
            this._super(...arguments);
        },
        destroy() {
            this._liveStop();
            this._super(...arguments);
        },
        _liveStop() {
            if (this._liveRemove) {
                this._liveRemove();
                this._liveRemove = null;
            }
        },
        // A re-read replaces the whole DOM of the renderer: wait while the user is in there,
        // or while a dialog that may hang on one of its widgets is open above it.
        _liveBusy() {
            const el = this.renderer.el;
            const focused = document.activeElement;
            const selection = window.getSelection();
            const dialog = [...document.querySelectorAll('.modal')].pop();
            return this._liveEditing() ||
                (dialog && !dialog.contains(el)) ||
                (el.contains(focused) && focused.matches('textarea, [contenteditable=true], input:not([type=checkbox])')) ||
                (!selection.isCollapsed && el.contains(selection.anchorNode));
        },
        async _liveReload() {
            const content = this.el.querySelector('.o_content');
            const { scrollTop, scrollLeft } = content;
            const { model } = this;
            // 'shadow': no "Loading" in the corner for something the user has not asked for
            model._rpc = (params, options) =>
                Object.getPrototypeOf(model)._rpc.call(model, params, Object.assign({ shadow: true }, options));
            this._liveReloading = true;
            try {
                await this._liveRead();
            } catch (reason) {
                if (reason && reason.event) {
                    reason.event.preventDefault(); // no error dialog
                }
                throw reason;
            } finally {
                delete model._rpc;
                this._liveReloading = false;
            }
            Object.assign(content, { scrollTop, scrollLeft });
        },
    };

    const LiveFormController = FormController.extend(Live, {
        autofocus() {
            return this._liveReloading ? undefined : this._super(...arguments);
        },
        _liveId() {
            return this.model.get(this.handle, { raw: true }).res_id;
        },
        _liveEditing() {
            return this.mode !== 'readonly' || this._liveCalls > 0;
        },
        _liveRead() {
            return this.update({});
        },
        // A re-read beside that of a button would take its place, and neither would be shown.
        _liveAfter(call) {
            const done = () => { this._liveCalls -= 1; };
            this._liveCalls = (this._liveCalls || 0) + 1;
            call.then(done, done);
            return call;
        },
        reload() {
            return this._liveAfter(this._super(...arguments));
        },
        _callButtonAction() {
            return this._liveAfter(this._super(...arguments));
        },
    });

    const LiveListController = ListController.extend(Live, {
        _liveId() {
            return null;
        },
        _liveEditing() {
            const grouped = this.model.get(this.handle, { raw: true }).groupedBy.length;
            return this.renderer.getEditableRecordID() !== null || (grouped && this.selectedRecords.length);
        },
        // Rows get new local ids: carry the ticked boxes over before the one rendering.
        async _liveRead() {
            this.handle = await this.dp.add(this.model.reload(this.handle, {}));
            const chosen = this.getSelectedIds();
            this.selectedRecords = this.model.get(this.handle).data
                .filter(row => this.isDomainSelected || chosen.includes(row.res_id))
                .map(row => row.id);
            await this.update({}, { reload: false, keepSelection: true });
        },
    });

    const LiveKanbanController = KanbanController.extend(Live, {
        _liveId() {
            return null;
        },
        _liveEditing() {
            return this.el.querySelector('.o_kanban_quick_create') !== null;
        },
        _liveRead() {
            return this.update({});
        },
    });

    const add = (name, View, Controller) => viewRegistry.add(name, View.extend({
        config: Object.assign({}, View.prototype.config, { Controller }),
    }));
    add('whatsapp_live_form', FormView, LiveFormController);
    add('whatsapp_live_list', ListView, LiveListController);
    add('whatsapp_live_kanban', KanbanView, LiveKanbanController);
});
