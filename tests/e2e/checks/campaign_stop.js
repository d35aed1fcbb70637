// Pause and stop of a campaign take hold at once: what the daemon has not tried comes back, and nobody gets it twice.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { until } = require('../lib/suite.js');
const { unique } = require('../lib/scene.js');

const RECIPIENTS = 80;
const PACE = 4; // a second: all of them are at the daemon at once, and it is busy with them for 20 s
const LIMIT = 120;

module.exports = async (suite, demo) => {
    demo.need('SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { admin, db, simulator, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const mark = unique('Held back');
    const first = 447700900000 + crypto.randomInt(10, 99) * 1000000;
    const press = (button) => admin.call('whatsapp.bulk.campaign', button, [[campaign]], {}, 120000);
    const [before] = await admin.call('whatsapp.configuration', 'read', [[account], ['pace_per_second', 'daily_limit']]);
    delete before.id;
    await admin.call('whatsapp.configuration', 'write', [[account], { pace_per_second: PACE, daily_limit: 0 }]);
    await db.rows("INSERT INTO res_partner (name, phone, active, type, ref)" +
        " SELECT 'Person ' || n, '+' || ($1::bigint + n), true, 'contact', $3 FROM generate_series(1, $2::int) AS n", [first, RECIPIENTS, mark]);
    const campaign = [].concat(await admin.call('whatsapp.bulk.campaign', 'create', [{
        name: mark, configuration_id: account, text: mark, category: 'utility', domain: JSON.stringify([['ref', '=', mark]]),
    }]))[0];
    const counts = async () => {
        const names = ['state', 'count_ready', 'count_queued', 'count_sent', 'count_excluded', 'standing'];
        return (await admin.call('whatsapp.bulk.campaign', 'read', [[campaign], names]))[0];
    };
    const since = await simulator.mark();
    const arrived = () => simulator.texts(since, mark);
    /** Waits until nothing of the campaign is at the daemon any more, then a while longer: nothing more arrives. */
    const quiet = async () => {
        const held = await until('nothing is queued any more', async () => {
            const now = await counts();
            return now.count_queued === 0 && now;
        }, LIMIT, 200);
        const calls = (await arrived()).length;
        assert.equal(await db.value("SELECT count(*)::int FROM whatsapp_message WHERE content = $1 AND status = 'queued'", [mark]), 0);
        await until('the pace would have let more through', () => db.value('SELECT now() > $1::timestamptz + interval \'3 s\'', [start]), LIMIT, 200);
        assert.equal((await arrived()).length, calls, 'more arrived after it was held');
        return { ...held, calls };
    };
    let start = await db.value('SELECT now()');

    try {
        await suite.step('paused: what was not tried comes back and waits in Odoo', async () => {
            await press('action_start');
            await until('some have arrived', async () => (await arrived()).length >= 3, LIMIT, 50);
            await press('action_pause');
            start = await db.value('SELECT now()');
            const now = await quiet();
            assert.equal(now.state, 'paused');
            assert.equal(now.count_ready + now.calls, RECIPIENTS);
            assert.ok(now.calls < RECIPIENTS / 2, 'the pause took hold too late: ' + now.calls);
            assert.match(now.standing, /Waiting for Resume/);
            return now.calls + ' arrived, ' + now.count_ready + ' wait';
        }, LIMIT);

        await suite.step('resumed, then stopped: the rest is not sent', async () => {
            const had = (await arrived()).length;
            await press('action_resume');
            await until('more arrive', async () => (await arrived()).length >= had + 5, LIMIT, 50);
            await press('action_stop');
            start = await db.value('SELECT now()');
            const now = await quiet();
            assert.equal(now.state, 'stopped');
            assert.equal(now.count_excluded + now.calls, RECIPIENTS);
            assert.ok(now.calls < RECIPIENTS, 'all were sent');
            await until('what was sent already is not asked for again', async () => await db.value(
                'SELECT count(*)::int FROM whatsapp_bulk_campaign_recipient WHERE campaign_id = $1 AND taken_back', [campaign]) === 0, LIMIT, 200);
            return now.calls + ' arrived, ' + now.count_excluded + ' do not get it';
        }, LIMIT);

        await suite.check('nobody got it twice', async () => {
            const numbers = (await arrived()).map(({ to }) => to);
            assert.equal(new Set(numbers).size, numbers.length);
        });
    } finally {
        await admin.call('whatsapp.configuration', 'write', [[account], before]);
        await db.rows('DELETE FROM res_partner WHERE ref = $1', [mark]).catch(() => undefined);
    }
};
