/** @odoo-module **/
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { graphView } from "@web/views/graph/graph_view";
import { pivotView } from "@web/views/pivot/pivot_view";

// A click opens the messages that a bar or a cell counts, not the rows of counts.
const opensMessages = (Renderer) =>
    class extends Renderer {
        setup() {
            super.setup();
            this.orm = useService("orm");
            this.action = useService("action");
        }

        async openView(domain, _views, _context, newWindow) {
            const { resModel } = this.model.metaData;
            const action = await this.orm.call(resModel, "action_messages", [domain]);
            this.action.doAction(action, { newWindow });
        }
    };

const views = registry.category("views");
views.add("whatsapp_figures_graph", { ...graphView, Renderer: opensMessages(graphView.Renderer) });
views.add("whatsapp_figures_pivot", { ...pivotView, Renderer: opensMessages(pivotView.Renderer) });
