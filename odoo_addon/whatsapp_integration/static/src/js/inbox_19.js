/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { user } from "@web/core/user";
import { useService } from "@web/core/utils/hooks";
import { Layout } from "@web/search/layout";
import { standardActionServiceProps } from "@web/webclient/actions/action_service";
import { Component, onMounted, onWillUnmount, useRef, xml } from "@odoo/owl";

class WhatsappInboxAction extends Component {
    static components = { Layout };
    static props = { ...standardActionServiceProps };
    static template = xml`
        <div class="o_action o_wa_action">
            <Layout display="{ controlPanel: {} }">
                <div class="o_wa_host" t-ref="host"/>
            </Layout>
        </div>`;

    setup() {
        const orm = useService("orm");
        const action = useService("action");
        const notification = useService("notification");
        const live = useService("whatsapp_live");
        const host = useRef("host");
        let inbox;
        onMounted(() => {
            inbox = new window.WhatsappInbox(host.el, {
                _t,
                lang: user.lang,
                tz: user.tz,
                params: this.props.action.params || {},
                rpc: (method, args) => orm.silent.call("whatsapp.chat", method, args),
                call: (model, method, ids) => orm.call(model, method, [ids]),
                act: (request) => action.doAction(request),
                notify: (text, type) => notification.add(text, { type }),
                live: (view) => live.add(view),
            });
        });
        onWillUnmount(() => inbox && inbox.destroy());
    }
}

registry.category("actions").add("whatsapp_inbox", WhatsappInboxAction);
