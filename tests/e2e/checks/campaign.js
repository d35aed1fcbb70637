// A campaign whose daemon is killed and started again three times: each recipient gets it once.
//
//   CAMPAIGN_RECIPIENTS   how many (1000; 5000 with FULL=1)
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { secondDaemon, startDaemon, stopDaemon } = require('../lib/daemon.js');
const { until } = require('../lib/suite.js');
const { unique } = require('../lib/scene.js');

const RECIPIENTS = Number(process.env.CAMPAIGN_RECIPIENTS || (process.env.FULL === '1' ? 5000 : 1000));
const KILLS = 3;
const LIMIT = 600; // s for all of them
// What no echo and no answer settled by then is sent again: the echo of a call that took effect comes at once.
const SETTLE_S = 15;

module.exports = async (suite, demo) => {
    demo.need('SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { admin, db, simulator, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const mark = unique('Thrice killed');
    const first = 447700900000 + crypto.randomInt(1, 9) * 10000000;
    const cronId = await demo.ref('whatsapp_integration.cron_campaigns');
    const cron = () => admin.call('ir.cron', 'method_direct_trigger', [[cronId]], {}, 120000);

    const [before] = await admin.call('whatsapp.configuration', 'read', [[account], ['pace_per_second', 'daily_limit', 'uncertain_policy']]);
    delete before.id;
    await admin.call('whatsapp.configuration', 'write', [[account], { pace_per_second: 0, daily_limit: 0, uncertain_policy: 'resend' }]);
    await db.rows("INSERT INTO res_partner (name, phone, active, type, ref)" +
        " SELECT 'Person ' || n, '+' || ($1::bigint + n), true, 'contact', $3 FROM generate_series(1, $2::int) AS n", [first, RECIPIENTS, mark]);
    const campaign = [].concat(await admin.call('whatsapp.bulk.campaign', 'create', [{
        name: mark, configuration_id: account, text: mark, category: 'utility',
        domain: JSON.stringify([['ref', '=', mark]]),
    }]))[0];
    const state = () => db.value('SELECT state FROM whatsapp_bulk_campaign WHERE id = $1', [campaign]);
    const sent = () => db.value("SELECT count(*)::int FROM whatsapp_message m JOIN whatsapp_bulk_campaign_recipient r ON r.message_id = m.id" +
        " WHERE r.campaign_id = $1 AND m.status IN ('sent', 'delivered', 'read')", [campaign]);
    const since = await simulator.mark();

    try {
        await suite.step('the dry run prepares ' + RECIPIENTS + ' recipients', async () => {
            await admin.call('whatsapp.bulk.campaign', 'action_check', [[campaign]], {}, 120000);
            await until('all are prepared', async () => { await cron(); return await state() === 'ready'; }, LIMIT);
            assert.equal(await db.value("SELECT count(*)::int FROM whatsapp_bulk_campaign_recipient WHERE campaign_id = $1 AND state = 'ready'",
                [campaign]), RECIPIENTS);
        });

        let daemon;
        await suite.step('started, and the daemon killed and started again ' + KILLS + ' times', async () => {
            await stopDaemon(demo);
            const settings = { WABRIDGE__LIMITS__SETTLE_S: String(SETTLE_S), WABRIDGE__LIMITS__LEASE_S: '15', WABRIDGE__LIMITS__PROVIDER_TIMEOUT_S: '5' };
            daemon = await secondDaemon(demo, { inPlace: true, settings });
            await admin.call('whatsapp.bulk.campaign', 'action_start', [[campaign]], {}, 120000);
            const killedAt = [];
            for (let kill = 1; kill <= KILLS; kill++) {
                const enough = Math.floor(RECIPIENTS * kill / (KILLS + 2));
                await until(enough + ' were sent', async () => { await cron(); return await sent() >= enough; }, LIMIT, 100);
                process.kill(daemon.pid, 'SIGKILL');
                await daemon.ended;
                killedAt.push(await sent());
                daemon = await secondDaemon(demo, { inPlace: true, settings });
            }
            assert.ok(killedAt.every((count) => count < RECIPIENTS), 'a kill came too late: ' + killedAt);
            return 'killed at ' + killedAt.join(', ');
        });

        await suite.step('every recipient gets it', async () => {
            await until('all were sent', async () => { await cron(); return await sent() === RECIPIENTS; }, LIMIT, 500);
            await until('the campaign is done', async () => { await cron(); return await state() === 'done'; }, 60, 500);
        });
        if (daemon) {
            await daemon.stop();
            await startDaemon(demo);
        }

        await suite.check('each number got it exactly once at the simulator', async () => {
            const calls = await simulator.texts(since, mark);
            const numbers = new Set(calls.map(({ to }) => to));
            assert.equal(numbers.size, RECIPIENTS);
            assert.equal(calls.length, RECIPIENTS, (calls.length - RECIPIENTS) + ' came twice');
        });
    } finally {
        await admin.call('whatsapp.configuration', 'write', [[account], before]);
        await db.rows('DELETE FROM res_partner WHERE ref = $1', [mark]).catch(() => undefined);
    }
};
