// The dashboards, of an account with some weeks of messages, inserted by SQL; and the bridge's health.
'use strict';

const SEED = `
    INSERT INTO whatsapp_message (configuration_id, message_id, chat_id, message_type, content, direction, from_me, status, timestamp,
           queued_at, sent_at, delivered_at, read_at, failed_at, origin, provider, user_id)
    SELECT $1, 'pictures-' || n, (447700901000 + n / 2 % 150) || '@s.whatsapp.net', (ARRAY['text', 'text', 'text', 'image', 'document', 'template'])[n % 6 + 1],
           'Message ' || n, d.direction, d.direction = 'outbound', d.status, d.at,
           CASE WHEN d.direction = 'outbound' THEN d.at END,
           CASE WHEN d.direction = 'outbound' AND d.status <> 'failed' THEN d.at END,
           CASE WHEN d.direction = 'outbound' AND d.status IN ('delivered', 'read') THEN d.at + interval '3 s' END,
           CASE WHEN d.direction = 'outbound' AND d.status = 'read' THEN d.at + interval '90 s' END,
           CASE WHEN d.status = 'failed' THEN d.at END,
           CASE WHEN d.direction = 'outbound' THEN 'odoo' ELSE 'provider' END, 'wassenger',
           CASE WHEN d.direction = 'outbound' THEN $2::int END
    FROM generate_series(1, $3::int) AS n CROSS JOIN LATERAL (
        SELECT CASE WHEN n % 5 IN (0, 2, 4) THEN 'outbound' ELSE 'inbound' END AS direction,
               CASE WHEN n % 5 IN (1, 3) THEN 'read' WHEN n % 97 = 0 THEN 'failed'
                    ELSE (ARRAY['read', 'read', 'delivered', 'read', 'sent', 'read', 'delivered'])[n % 7 + 1] END AS status,
               date_trunc('second', (now() AT TIME ZONE 'UTC') - interval '29 days' * (1 - n::float8 / $3::int)
                   - (n * 7919 % 1000) * interval '25 s') AS at) d`;

module.exports = [
    {
        names: ['dashboard-account', 'dashboard-messages', 'dashboard-answers', 'dashboard-pivot'],
        async play({ demo, boss }) {
            const { admin, db } = demo;
            const { page } = boss;
            const sales = Number(demo.env.WASSENGER_CONFIGURATION_ID);
            if (!await db.value("SELECT count(*)::int FROM whatsapp_message WHERE message_id = 'pictures-1'")) {
                await db.rows(SEED, [sales, await demo.user.uid(), 2600]);
            }
            await admin.call('whatsapp.configuration', 'write', [[sales], { daily_limit: 500 }]);
            const cron = await demo.ref('whatsapp_integration.cron_count_messages');
            await boss.seen(() => admin.call('ir.cron', 'method_direct_trigger', [[cron]], {}, 120000).then(() => true), 'the scheduled action');
            await boss.action('whatsapp_integration.whatsapp_dashboard_account_action', { type: 'kanban' });
            await boss.seen(() => page.locator('.o_wa_card').count());
            await boss.picture('dashboard-account', { height: 860 });
            await boss.menu('WhatsApp', 'Dashboard', 'Messages per Day');
            await page.waitForSelector('.o_graph_view canvas, .o_graph_renderer canvas');
            await page.waitForTimeout(1500); // the bars grow
            await boss.picture('dashboard-messages');
            await page.click('.o_switch_view.o_pivot');
            await page.waitForSelector('.o_pivot table');
            await boss.picture('dashboard-pivot');
            await boss.menu('WhatsApp', 'Dashboard', 'Time to Answer');
            await page.waitForSelector('.o_graph_view canvas, .o_graph_renderer canvas, .o_pivot');
            await page.waitForTimeout(1500);
            await boss.picture('dashboard-answers');
        },
    },
    {
        names: ['bridge-health'],
        async play({ boss }) {
            await boss.action('whatsapp_integration.whatsapp_contact_action');
            await boss.menu('WhatsApp', 'Dashboard', 'Bridge Health');
            await boss.page.waitForSelector('.o_form_view');
            await boss.seen(async () => await boss.status() === 'Ready');
            await boss.picture('bridge-health', { height: 760 });
        },
    },
];
