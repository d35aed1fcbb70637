// A campaign whose daemon and whose Odoo are killed and started again three times: each good recipient gets it once, and
// the dry run has named every bad one.
//
//   CAMPAIGN_RECIPIENTS   how many good ones (300; 5000 with FULL=1)
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { killOdoo, secondDaemon, startDaemon, startOdoo, stopDaemon } = require('../lib/daemon.js');
const { sleep, until } = require('../lib/suite.js');
const { unique } = require('../lib/scene.js');

const RECIPIENTS = Number(process.env.CAMPAIGN_RECIPIENTS || (process.env.FULL === '1' ? 5000 : 300));
const KILLS = 3;
const LIMIT = 800; // s for all of them
// What no echo and no answer settled by then is sent again: the echo of a call that took effect comes at once.
const SETTLE_S = 15;

module.exports = async (suite, demo) => {
    demo.need('SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { admin, db, simulator, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const mark = unique('Thrice killed');
    const first = 447700900000 + crypto.randomInt(1, 9) * 10000000;
    const cronId = await demo.ref('whatsapp_integration.cron_campaigns');
    const create = async (model, values) => [].concat(await admin.call(model, 'create', [values]))[0];

    /** What a request to an Odoo that is killed meanwhile comes to is nobody's business. */
    const unheard = (promise) => promise.catch(() => undefined);
    const press = (button) => admin.call('whatsapp.bulk.campaign', button, [[campaign]], {}, 120000);
    const cron = () => unheard(admin.call('ir.cron', 'method_direct_trigger', [[cronId]], {}, 120000));

    const [before] = await admin.call('whatsapp.configuration', 'read', [[account], ['pace_per_second', 'daily_limit', 'uncertain_policy']]);
    delete before.id;
    await admin.call('whatsapp.configuration', 'write', [[account], { pace_per_second: 0, daily_limit: 0, uncertain_policy: 'resend' }]);
    await db.rows("INSERT INTO res_partner (name, phone, active, type, ref, function)" +
        " SELECT 'Person ' || n, '+' || ($1::bigint + n), true, 'contact', 'code ' || n, $3 FROM generate_series(1, $2::int) AS n",
    [first, RECIPIENTS, mark]);

    // Bad ones, and what the dry run says of each.
    const refusing = '+' + (first + 5000001);
    const listed = '+1202555' + crypto.randomInt(100, 199).toString().padStart(4, '0');
    const bad = {
        'No Number': [{ ref: 'b1' }, 'no_number'],
        'Short': [{ phone: '12', ref: 'b2' }, 'impossible_number'],
        'Words': [{ phone: 'ask Ben', ref: 'b3' }, 'impossible_number'],
        'Twin': [{ phone: '+' + (first + 1), ref: 'b4' }, 'duplicate'],
        'Codeless': [{ phone: '+' + (first + 5000002) }, 'missing_field'],
        'Long': [{ phone: '+' + (first + 5000003), ref: 'x'.repeat(5000) }, 'too_long'],
        'Opted Out': [{ phone: refusing, ref: 'b5' }, 'opted_out'],
        'Blacklisted': [{ phone: listed, ref: 'b6' }, 'blacklisted'],
    };
    for (const [name, [values]] of Object.entries(bad)) {
        await create('res.partner', { name, function: mark, ...values });
    }
    await demo.bridge.result('contact.opt_out', { uid: await admin.uid(), configuration_id: account, to: refusing, category: 'marketing' });
    await create('phone.blacklist', { number: listed }).catch(() => undefined); // there from an earlier run

    const template = await create('whatsapp.message.template', {
        name: mark, model: 'res.partner', body: mark + ', {{1}}', variable_ids: [[0, 0, { placeholder: '1', field_path: 'ref' }]],
    });
    const campaign = await create('whatsapp.bulk.campaign', {
        name: mark, configuration_id: account, content_kind: 'template', template_id: template, category: 'marketing',
        domain: JSON.stringify([['function', '=', mark]]),
    });
    const state = () => db.value('SELECT state FROM whatsapp_bulk_campaign WHERE id = $1', [campaign]);
    const count = (where) => db.value('SELECT count(*)::int FROM whatsapp_bulk_campaign_recipient r LEFT JOIN whatsapp_message m' +
        ' ON m.id = r.message_id WHERE r.campaign_id = $1 AND ' + where, [campaign]);
    const sent = () => count("m.status IN ('sent', 'delivered', 'read')");
    const since = await simulator.mark();
    let daemon;

    try {
        await suite.step('the dry run, its Odoo killed in the middle, prepares ' + RECIPIENTS + ' recipients', async () => {
            unheard(press('action_check'));
            await sleep(crypto.randomInt(50, 500)); // anywhere in it
            const killedAt = await count('true');
            await killOdoo(demo);
            await startOdoo(demo);
            if (await state() === 'draft') { // nothing of it was kept: the person sees a draft and presses again
                await press('action_check');
            }
            await until('all are prepared', async () => { await cron(); return await state() === 'ready'; }, LIMIT);
            assert.equal(await count("r.state = 'ready'"), RECIPIENTS);
            return 'killed at ' + killedAt;
        }, LIMIT);

        await suite.check('the dry run names each planted bad record and why', async () => {
            const rows = await db.rows("SELECT name, reason FROM whatsapp_bulk_campaign_recipient WHERE campaign_id = $1 AND state = 'excluded'", [campaign]);
            assert.deepEqual(Object.fromEntries(rows.map(({ name, reason }) => [name, reason])),
                Object.fromEntries(Object.entries(bad).map(([name, [, reason]]) => [name, reason])));
            assert.equal(rows.length, Object.keys(bad).length);
        });

        await suite.step('started; daemon and Odoo killed and started again ' + KILLS + ' times', async () => {
            await stopDaemon(demo);
            const settings = { WABRIDGE__LIMITS__SETTLE_S: String(SETTLE_S), WABRIDGE__LIMITS__LEASE_S: '15', WABRIDGE__LIMITS__PROVIDER_TIMEOUT_S: '5' };
            daemon = await secondDaemon(demo, { inPlace: true, settings });
            const killedAt = [];
            for (let kill = 1; kill <= KILLS; kill++) {
                // the first one early, while Odoo is still handing over
                const enough = kill === 1 ? 5 : Math.floor(RECIPIENTS * kill / (KILLS + 2));
                let going = null;
                await until(enough + ' were sent', async () => {
                    going = going || unheard(await state() === 'ready' ? press('action_start') : cron()).then(() => { going = null; });
                    return await sent() >= enough;
                }, LIMIT, 20);
                process.kill(daemon.pid, 'SIGKILL');
                await killOdoo(demo);
                await daemon.ended;
                killedAt.push(await sent() + ' sent and ' + await count("r.state = 'ready'") + ' not handed over');
                assert.ok(await sent() < RECIPIENTS, 'the kill came too late');
                await startOdoo(demo);
                daemon = await secondDaemon(demo, { inPlace: true, settings });
            }
            return 'killed at ' + killedAt.join(', ');
        }, LIMIT);

        await suite.step('every good recipient gets it', async () => {
            await until('all were sent', async () => { await cron(); return await sent() === RECIPIENTS; }, LIMIT, 500);
            await until('the campaign is done', async () => { await cron(); return await state() === 'done'; }, 60, 500);
            await daemon.stop();
            daemon = null;
            await startDaemon(demo);
        }, LIMIT);

        await suite.check('each number got it exactly once at the simulator, and nobody else did', async () => {
            const calls = await simulator.texts(since, mark);
            const numbers = new Set(calls.map(({ to }) => to.replace(/@.*/, '')));
            assert.equal(numbers.size, RECIPIENTS);
            assert.equal(calls.length, RECIPIENTS, (calls.length - RECIPIENTS) + ' came twice');
            const strangers = [...numbers].filter((number) => Number(number) <= first || Number(number) > first + RECIPIENTS);
            assert.deepEqual(strangers, []);
            return calls.length + ' calls to ' + numbers.size + ' numbers';
        });
    } finally {
        if (daemon) {
            await daemon.stop();
            await startDaemon(demo);
        }
        await admin.call('whatsapp.configuration', 'write', [[account], before]);
        await db.rows('DELETE FROM res_partner WHERE function = $1', [mark]).catch(() => undefined);
    }
};
