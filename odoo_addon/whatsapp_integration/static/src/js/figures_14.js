odoo.define('whatsapp_integration.figures', function (require) {
    'use strict';

    const GraphView = require('web.GraphView');
    const PivotView = require('web.PivotView');
    const viewRegistry = require('web.view_registry');

    // A click opens the messages that a bar or a cell counts, not the rows of counts.
    const OpensMessages = {
        async _openMessages(domain) {
            const args = [domain];
            this.do_action(await this._rpc({ model: this.modelName, method: 'action_messages', args }));
        },
    };

    viewRegistry.add('whatsapp_figures_graph', GraphView.extend({
        config: Object.assign({}, GraphView.prototype.config, {
            Controller: GraphView.prototype.config.Controller.extend(OpensMessages, {
                _onOpenView(ev) {
                    ev.stopPropagation();
                    this._openMessages(ev.data.domain);
                },
            }),
        }),
    }));

    viewRegistry.add('whatsapp_figures_pivot', PivotView.extend({
        config: Object.assign({}, PivotView.prototype.config, {
            Controller: PivotView.prototype.config.Controller.extend(OpensMessages, {
                _onOpenView(ev) {
                    ev.stopPropagation();
                    const cell = ev.data;
                    if (cell.value === undefined) {
                        return;
                    }
                    this._openMessages(this.model._getGroupDomain({
                        rowValues: cell.groupId[0],
                        colValues: cell.groupId[1],
                        originIndex: cell.originIndexes[0],
                    }));
                },
            }),
        }),
    }));
});
