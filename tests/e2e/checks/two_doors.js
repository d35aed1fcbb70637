// Both doors into the one outbox: nothing is sent that was rolled back, nothing twice, all in order.
'use strict';
const assert = require('node:assert/strict');
const { startDaemon, stopDaemon } = require('../lib/daemon.js');
const { until } = require('../lib/suite.js');
const { unique, person, serverAction, doorB, messages, messageIs, ACCEPTED, blockedBy } = require('../lib/scene.js');

const SENDS = 200;

module.exports = async (suite, demo) => {
    demo.need('SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { bridge, db, simulator, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const admin = await demo.admin.uid();
    const doorA = (to, text, more = {}) => bridge.result('message.send',
        { uid: admin, configuration_id: account, to, type: 'text', text: { body: text }, ...more });
    /** Exactly one call with this text, seen after a later message of the same chat has arrived. */
    const calls = async (mark, to, text) => {
        const last = unique('after');
        await doorA(to, last);
        await messageIs(demo, last, ACCEPTED, 60);
        return (await simulator.texts(mark, text)).length;
    };
    await db.rows('CREATE SEQUENCE IF NOT EXISTS wabridge_e2e_attempts');
    const attempts = () => db.value('SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM wabridge_e2e_attempts');
    /** Python that counts how often the transaction was tried: a sequence is not rolled back. */
    const COUNT = "env.cr.execute(\"SELECT nextval('wabridge_e2e_attempts')\")\n";

    await suite.check('transaction door: committed, 1 call', async () => {
        const [to, text, mark] = [person(), unique('committed'), await simulator.mark()];
        await serverAction(demo, doorB(to, text));
        const row = await messageIs(demo, text, ACCEPTED);
        assert.equal(row.origin, 'odoo');
        assert.ok(row.message_id, 'no provider id');
        assert.equal(await calls(mark, to, text), 1);
    });

    await suite.check('transaction door: rolled back, 0 calls', async () => {
        const [to, text, mark] = [person(), unique('rolled back'), await simulator.mark()];
        await assert.rejects(serverAction(demo, doorB(to, text) + "\nraise Exception('no, do not')"), /no, do not/);
        assert.equal(await calls(mark, to, text), 0);
        assert.equal((await messages(demo, text)).length, 0);
    });

    /** Runs `code` while a transaction of ours holds the partner that it writes; returns how often Odoo tried. */
    const contended = async (code) => {
        const partner = await demo.admin.call('res.partner', 'create', [{ name: unique('contended') }]);
        const holder = db.another();
        const before = await attempts();
        try {
            await holder.rows('BEGIN');
            await holder.rows("UPDATE res_partner SET comment = 'ours' WHERE id = $1", [partner]);
            const action = serverAction(demo, COUNT + code +
                "\nenv['res.partner'].browse(" + partner + ").write({'function': 'theirs'})", 120000);
            action.catch(() => undefined); // awaited below
            await blockedBy(demo, holder, 'Odoo');
            await holder.rows('COMMIT');
            await action;
        } finally {
            await holder.close();
        }
        assert.equal(await db.value('SELECT function FROM res_partner WHERE id = $1', [partner]), 'theirs');
        return await attempts() - before;
    };

    await suite.check('transaction door: serialization failure and retry of a server action, 1 call', async () => {
        const [to, text, mark] = [person(), unique('retried'), await simulator.mark()];
        const tries = await contended(doorB(to, text));
        assert.ok(tries >= 2, 'no retry was forced: ' + tries + ' attempt');
        await messageIs(demo, text, ACCEPTED);
        assert.equal(await calls(mark, to, text), 1);
        return tries + ' attempts';
    });

    await suite.check('wizard: serialization failure and retry of its request, 1 call', async () => {
        const [to, text, mark] = [person(), unique('wizard retried'), await simulator.mark()];
        const wizard = await demo.admin.call('whatsapp.send.message.wizard', 'create',
            [{ configuration_id: account, number: to, text }]);
        const tries = await contended("env['whatsapp.send.message.wizard'].browse(" + wizard + ').action_send()');
        assert.ok(tries >= 2, 'no retry was forced: ' + tries + ' attempt');
        await messageIs(demo, text, ACCEPTED);
        assert.equal(await calls(mark, to, text), 1);
        return tries + ' attempts';
    });

    await suite.check('an idempotency key: same content same row, other content 1108', async () => {
        const [to, text, mark, idempotency_key] = [person(), unique('once'), await simulator.mark(), unique('key')];
        const first = await doorA(to, text, { idempotency_key });
        const again = await doorA(to, text, { idempotency_key });
        assert.equal(again.data.id, first.data.id);
        const other = await bridge.call('message.send', { uid: admin, configuration_id: account, to, type: 'text',
            text: { body: text + ' changed' }, idempotency_key });
        assert.equal(other.error && other.error.code, 1108);
        assert.equal(await calls(mark, to, text), 1);
    });

    await suite.check('daemon stopped, commit, daemon started: 1 call', async () => {
        const [to, text] = [person(), unique('while away')];
        const mark = await simulator.mark();
        await stopDaemon(demo);
        try {
            await serverAction(demo, doorB(to, text));
            assert.equal((await messages(demo, text))[0].status, 'queued');
            assert.equal((await simulator.texts(mark, text)).length, 0);
            const wizard = await demo.admin.call('whatsapp.send.message.wizard', 'create',
                [{ configuration_id: account, number: to, text: unique('no daemon') }]);
            await assert.rejects(demo.admin.call('whatsapp.send.message.wizard', 'action_send', [[wizard]]),
                { kind: 'odoo.exceptions.UserError' }, 'the wizard must say that the daemon is away');
        } finally {
            await startDaemon(demo);
        }
        await messageIs(demo, text, ACCEPTED, 60);
        assert.equal(await calls(mark, to, text), 1);
    }, 240);

    /** All of `texts` sent once each, in that order. */
    const inOrder = async (mark, label, texts) => {
        await until('all ' + SENDS + ' messages accepted by the provider', async () => {
            const open = await db.rows(`SELECT status, count(*) FROM whatsapp_message
                WHERE content LIKE $1 AND status <> ALL ($2) GROUP BY 1`, [label + '%', ACCEPTED]);
            if (open.length) {
                throw new Error(open.map(({ status, count }) => count + ' ' + status).join(', '));
            }
            return await db.value('SELECT count(*) FROM whatsapp_message WHERE content LIKE $1', [label + '%']) === SENDS;
        }, 180, 500);
        const sent = (await simulator.texts(mark, label)).map(({ text }) => text);
        assert.equal(sent.length, SENDS, sent.length + ' calls');
        assert.deepEqual(sent, texts);
        const rows = await db.rows('SELECT content FROM whatsapp_message WHERE content LIKE $1 ORDER BY id', [label + '%']);
        assert.deepEqual(rows.map(({ content }) => content), texts, 'rows in another order');
    };
    const doors = {
        'through the RPC door': () => 'a',
        'through the transaction door': () => 'b',
        'interleaved in one chat': (i) => (i % 2 ? 'b' : 'a'),
    };
    for (const [name, door] of Object.entries(doors)) {
        await suite.check(SENDS + ' sends ' + name + ': all sent, in order', async () => {
            const [to, label, mark] = [person(), unique('many'), await simulator.mark()];
            const texts = Array.from({ length: SENDS }, (_, i) => label + ' ' + String(i).padStart(3, '0'));
            for (const [i, text] of texts.entries()) {
                if (door(i) === 'a') {
                    await doorA(to, text);
                } else {
                    const answer = await demo.admin.call('whatsapp.core.service', 'send_text_message', [to, text],
                        { configuration_id: account });
                    assert.equal(answer.success, true, JSON.stringify(answer));
                }
            }
            await inOrder(mark, label, texts);
        }, 400);
    }

    await suite.check('no orphan and no stuck row is left', async () => {
        await until('the outbox is empty', async () => {
            const left = [await db.value('SELECT count(*) FROM whatsapp_outbox_in'), await db.value('SELECT count(*) FROM wabridge.outbox')];
            if (left.some(Boolean)) {
                throw new Error('whatsapp_outbox_in ' + left[0] + ', wabridge.outbox ' + left[1]);
            }
            return true;
        }, 30, 500);
    });
    await db.rows('DROP SEQUENCE wabridge_e2e_attempts');
};
