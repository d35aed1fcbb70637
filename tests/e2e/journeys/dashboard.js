// A manager looks at the figures of an account with a hundred thousand messages: cards, graph, pivot, and what a click on each opens; an
// administrator at users and operations and at the bridge's health, with the daemon and without. The account is the journey's own, its messages
// are inserted by SQL and go at the end.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { withBrowser } = require('../lib/browser.js');
const { startDaemon, stopDaemon } = require('../lib/daemon.js');
const { until } = require('../lib/suite.js');
const { userWith } = require('../lib/scene.js');

const MESSAGES = 100000; // over 40 days
const SEEN = 60; // s

const SEED = `
    INSERT INTO whatsapp_message (configuration_id, message_id, chat_id, message_type, content, direction, from_me, status, timestamp,
           queued_at, sent_at, delivered_at, read_at, failed_at, origin, provider, user_id, res_model, res_id)
    SELECT $1, 'e2e-' || n, (n / 2 % 2500) || '@c.us', (ARRAY['text', 'text', 'text', 'image', 'document', 'template'])[n % 6 + 1],
           'Message ' || n, d.direction, d.direction = 'outbound', d.status, d.at,
           CASE WHEN d.direction = 'outbound' THEN d.at END,
           CASE WHEN d.direction = 'outbound' AND d.status <> 'failed' THEN d.at END,
           CASE WHEN d.status IN ('delivered', 'read') THEN d.at + interval '3 s' END,
           CASE WHEN d.status = 'read' THEN d.at + interval '90 s' END,
           CASE WHEN d.status = 'failed' THEN d.at END,
           CASE WHEN d.direction = 'outbound' THEN 'odoo' ELSE 'provider' END, 'whapi',
           CASE WHEN d.direction = 'outbound' THEN $2::int END, CASE WHEN n % 9 = 0 THEN 'res.partner' END, CASE WHEN n % 9 = 0 THEN 1 END
    FROM generate_series(1, $3::int) AS n CROSS JOIN LATERAL (
        SELECT CASE WHEN n % 2 = 1 OR n % 10 = 8 THEN 'outbound' ELSE 'inbound' END AS direction,
               CASE WHEN n % 2 = 0 AND n % 10 <> 8 THEN 'delivered'
                    ELSE (ARRAY['read', 'read', 'delivered', 'sent', 'failed', 'read', 'delivered'])[n % 7 + 1] END AS status,
               date_trunc('second', (now() AT TIME ZONE 'UTC') - interval '40 days' * power(1 - n::float8 / $3::int, 1.3)
                   - (n * 37 % 8) * interval '1 min') AS at) d`;

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD');
    const { env, admin, bridge, db } = demo;
    const name = 'Figures ' + crypto.randomInt(1000, 9999);
    const login = 'manager-' + crypto.randomInt(100000, 999999);
    let account;
    /** The figures by plain SQL, over the last `days` days in UTC. */
    const counted = (days) => db.row(`
        SELECT count(*) FILTER (WHERE direction = 'inbound') AS received, count(*) FILTER (WHERE sent_at IS NOT NULL) AS sent,
               count(*) FILTER (WHERE direction = 'outbound' AND delivered_at IS NOT NULL) AS delivered,
               count(*) FILTER (WHERE direction = 'outbound' AND read_at IS NOT NULL) AS read,
               count(*) FILTER (WHERE status = 'failed') AS failed, count(*) AS all
        FROM whatsapp_message WHERE configuration_id = $1 AND timestamp >= (now() AT TIME ZONE 'UTC')::date - $2::int`, [account, days - 1]);

    try {
        await suite.step('an account with ' + MESSAGES + ' messages, and a user who may use no other', async () => {
            account = [].concat(await admin.call('whatsapp.configuration', 'create', [{ name, provider: 'whapi', channel_id: name }]))[0];
            const user = await userWith(demo, login, ['whatsapp_integration.group_whatsapp_user']);
            await admin.call('whatsapp.configuration', 'write', [[account], { user_ids: [[6, 0, [await user.uid()]]], daily_limit: 1000 }]);
            await db.rows(SEED, [account, await user.uid(), MESSAGES]);
            await db.rows('ANALYZE whatsapp_message');
            assert.equal((await counted(100)).all, MESSAGES);
        }, 180);

        await withBrowser(suite, demo, shots, async (person) => {
            const { page } = person;
            const old = person.series < 17;
            const numbers = (text) => Number(text.replace(/[^0-9]/g, ''));
            const tile = async (label) => {
                const found = page.locator('.o_wa_tile').filter({ has: page.locator('.o_wa_label', { hasText: new RegExp('^' + label + '$') }) });
                return { found, number: numbers(await found.locator('.o_wa_number').innerText()) };
            };
            const pager = async () => { // how many rows a list has
                await page.waitForSelector('.o_list_view .o_data_row');
                const limit = page.locator('.o_pager_limit');
                await limit.first().waitFor();
                const text = (await limit.first().innerText()).trim();
                if (text.endsWith('+')) {
                    await limit.first().click();
                    await until('the whole count', async () => !(await limit.first().innerText()).includes('+'));
                }
                return numbers(await limit.first().innerText());
            };
            const back = async () => {
                await page.locator('.breadcrumb-item a').last().click();
                await page.waitForSelector('.o_list_view', { state: 'detached' });
            };

            await suite.step('log in as a user of one account', () => person.login(login, 'e2e-password'));

            for (const counting of ['live', 'counted']) {
                await suite.step('the card of the account, ' + counting, async () => {
                    if (counting === 'counted') {
                        const [cron] = await admin.call('ir.model.data', 'search_read',
                            [[['module', '=', 'whatsapp_integration'], ['name', '=', 'cron_count_messages']], ['res_id']]);
                        await admin.call('ir.cron', 'method_direct_trigger', [[cron.res_id]], {}, 120000);
                        const { all } = await db.row(`SELECT count(*) AS all FROM whatsapp_message
                            WHERE configuration_id = $1 AND timestamp < (now() AT TIME ZONE 'UTC')::date`, [account]);
                        assert.equal(await db.value('SELECT sum(message_count) FROM whatsapp_message_count WHERE configuration_id = $1', [account]), all);
                    }
                    await person.action('whatsapp_integration.whatsapp_dashboard_account_action', { type: 'kanban' });
                    await until('one card', async () => await page.locator('.o_wa_card').count() === 1, SEEN);
                    const expected = await counted(7);
                    for (const label of ['Received', 'Sent', 'Delivered', 'Read', 'Failed']) {
                        assert.equal((await tile(label)).number, expected[label.toLowerCase()], label);
                        assert.ok(expected[label.toLowerCase()] > 0, label);
                    }
                    assert.match(await page.locator('.o_wa_card').innerText(), new RegExp(name));
                    await person.shot('dashboard-account-' + counting);
                });
            }

            await suite.step('a number of the card opens the messages that it counts', async () => {
                for (const label of ['Read', 'Failed']) {
                    const { found, number } = await tile(label);
                    await found.click();
                    assert.equal(await pager(), number, label);
                    await back();
                }
            });

            await suite.step('another period', async () => {
                const facet = page.locator('.o_searchview_facet .o_facet_remove');
                await facet.first().click();
                await until('all periods', async () => await page.locator('.o_wa_card').count() === 4);
                await person.shot('dashboard-account-periods');
            });

            await suite.step('messages by day, and a bar opens its messages', async () => {
                await person.menu('WhatsApp', 'Dashboard', 'Messages per Day');
                await page.waitForSelector('.o_graph_view canvas, .o_graph_renderer canvas');
                await page.waitForTimeout(1500); // the bars grow
                await person.shot('dashboard-messages');
                const canvas = page.locator('.o_graph_view canvas, .o_graph_renderer canvas').first();
                const { width, height } = await canvas.boundingBox();
                for (let x = width / 2; !await page.locator('.o_list_view').count(); x += 11) { // between two bars is nothing to click
                    assert.ok(x < width, 'no bar could be clicked');
                    await canvas.click({ position: { x, y: height * 0.85 } });
                    await page.waitForSelector('.o_list_view', { timeout: 3000 }).catch(() => undefined);
                }
                const bars = await db.rows(`SELECT count(*) FROM whatsapp_message WHERE configuration_id = $1
                    GROUP BY timestamp::date, direction`, [account]);
                const rows = await pager();
                assert.ok(bars.some(({ count }) => count === rows), rows + ' messages are those of no bar');
                await person.shot('dashboard-messages-of-a-bar');
                await back();
            });

            await suite.step('the pivot adds up, and a cell opens its messages', async () => {
                await page.click(old ? '.o_switch_view.o_pivot' : '.o_switch_view.o_pivot');
                await page.waitForSelector('.o_pivot table');
                const expected = await counted(30);
                const cells = page.locator('.o_pivot tbody tr').first().locator('td');
                await until('the cells', () => cells.count());
                const total = numbers(await cells.last().innerText());
                assert.equal(total, expected.all);
                await person.shot('dashboard-pivot');
                const first = numbers(await cells.first().innerText());
                await cells.first().click();
                assert.equal(await pager(), first);
                await back();
            });

            await suite.step('users, documents, campaigns, answers and synchronisations have their pages', async () => {
                for (const [entry, shot] of [['Time to Answer', 'answers'], ['Active Users', 'users'], ['Users and Operations', 'operations'], ['Document Engagement', 'documents'],
                    ['Campaign Engagement', 'campaigns'], ['Synchronisation Success', 'syncs']]) {
                    await person.menu('WhatsApp', 'Dashboard', entry);
                    await page.waitForSelector('.o_graph_view, .o_pivot_view, .o_pivot, .o_graph_renderer, .o_view_nocontent');
                    await page.waitForTimeout(1200);
                    await person.shot('dashboard-' + shot);
                }
                assert.equal(await page.getByText('Bridge Health').count(), 0, 'not for users');
            }, 180);

            await suite.step('an administrator sees who did what, and a cell opens the lines of the audit log', async () => {
                const uid = await admin.uid();
                await bridge.call('configuration.test', { uid, configuration_id: account }); // without a token: refused, and logged
                await person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD);
                const logged = () => db.value(`SELECT count(*) FROM whatsapp_audit_log WHERE user_id IS NOT NULL AND operation = 'configuration.test'
                    AND timestamp >= (now() AT TIME ZONE 'UTC')::date - 29`);
                await until('its line in the log', logged);
                await person.menu('WhatsApp', 'Dashboard', 'Users and Operations');
                await page.waitForSelector('.o_graph_view canvas, .o_graph_renderer canvas');
                await page.waitForTimeout(1200);
                await person.shot('dashboard-operations-graph');
                await page.click('.o_switch_view.o_pivot');
                await page.waitForSelector('.o_pivot table');
                const row = page.locator('.o_pivot tbody tr').filter({ hasText: 'Test a connection' });
                await row.waitFor();
                const cell = row.locator('td').nth(1); // beside the number of users
                const count = numbers(await cell.innerText());
                assert.equal(count, await logged());
                await person.shot('dashboard-operations');
                await cell.click();
                assert.equal(await pager(), count);
                await back();
            });

            await suite.step('an administrator sees how the bridge is', async () => {
                await person.menu('WhatsApp', 'Dashboard', 'Bridge Health');
                await page.waitForSelector('.o_form_view');
                await until('it is ready', async () => await person.status() === 'Ready', SEEN);
                assert.ok(Number((await person.value('memory_mb')).replace(/,/g, '')) > 1);
                assert.match(await person.value('connections'), /in use, \d+ open, at most \d+/);
                assert.ok(await person.sees(name), 'the accounts');
                await person.shot('bridge-health');
            });

            await suite.step('and is told when it does not answer', async () => {
                await stopDaemon(demo);
                try {
                    await person.button('action_refresh');
                    await until('the message', () => person.sees('The bridge does not answer.'), SEEN);
                    await person.shot('bridge-silent');
                } finally {
                    await startDaemon(demo);
                }
                await until('it is ready again', async () => {
                    await person.button('action_refresh');
                    return await person.status() === 'Ready';
                }, SEEN, 1000);
            }, 180);

            await suite.check('the page raised no error', async () => {
                assert.deepEqual(person.errors.filter((error) => !/selfie_segmentation/.test(error)), []); // missing in Debian's odoo-19
            });
        });
    } finally {
        if (account) {
            await admin.call('whatsapp.configuration', 'write', [[account], { active: false }]);
            // Later journeys find the demo as it was.
            await db.rows('DELETE FROM whatsapp_message_count WHERE configuration_id = $1', [account]);
            await db.rows('DELETE FROM whatsapp_message WHERE configuration_id = $1', [account]);
            await db.rows('VACUUM ANALYZE whatsapp_message');
        }
    }
};
