/** @odoo-module **/
import { registry } from "@web/core/registry";
import { useBus, useService } from "@web/core/utils/hooks";
import { formView } from "@web/views/form/form_view";
import { kanbanView } from "@web/views/kanban/kanban_view";
import { listView } from "@web/views/list/list_view";
import { onMounted, onWillUnmount } from "@odoo/owl";

registry.category("services").add("whatsapp_live", {
    dependencies: ["bus_service"],
    start(env, { bus_service }) {
        const views = new window.WhatsappLiveViews();
        bus_service.subscribe("wabridge/changed", (payload) => views.hint(payload));
        bus_service.start();
        return views;
    },
});

function useLive(controller, { id, editing, reload }) {
    const live = useService("whatsapp_live");
    const ui = useService("ui");
    let typing = false; // text in an input that is not yet a change of the record
    useBus(controller.model.bus, "FIELD_IS_DIRTY", (ev) => (typing = ev.detail));
    let remove;
    onMounted(() => {
        remove = live.add({
            model: controller.props.resModel,
            id,
            // a dialog above the view waits too: it may hang on one of its records
            busy: () =>
                typing ||
                editing() ||
                (ui.activeElement !== document &&
                    !ui.activeElement.contains(controller.rootRef.el)),
            reload,
        });
    });
    onWillUnmount(() => remove());
}

class LiveFormController extends formView.Controller {
    setup() {
        super.setup();
        useLive(this, {
            id: () => this.model.root.resId,
            editing: () => this.model.root.isNew || this.model.root.dirty,
            reload: () => this.model.root.load(),
        });
    }
}

// root.load(), unlike model.load(), keeps page, order, open groups and "all selected".
async function reloadRows(root) {
    const chosen = new Set((root.selection || []).map((record) => record.resId));
    await root.load();
    for (const record of root.records) {
        if (chosen.has(record.resId)) {
            record.selected = true;
        }
    }
}

class LiveListController extends listView.Controller {
    setup() {
        super.setup();
        useLive(this, {
            id: () => null,
            editing: () => !this.model.isReady || this.model.root.editedRecord,
            reload: () => reloadRows(this.model.root),
        });
    }
}

class LiveKanbanController extends kanbanView.Controller {
    setup() {
        super.setup();
        useLive(this, {
            id: () => null,
            editing: () => !this.model.isReady || this.quickCreateState.groupId,
            reload: () => reloadRows(this.model.root),
        });
    }
}

const views = registry.category("views");
views.add("whatsapp_live_form", { ...formView, Controller: LiveFormController });
views.add("whatsapp_live_list", { ...listView, Controller: LiveListController });
views.add("whatsapp_live_kanban", { ...kanbanView, Controller: LiveKanbanController });
