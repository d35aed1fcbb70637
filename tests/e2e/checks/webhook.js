// What the public listener lets in, and what becomes of it.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { REPOSITORY, http } = require('../lib/demo.js');
const { sleep, until } = require('../lib/suite.js');
const { unique } = require('../lib/scene.js');

const VECTORS = path.join(REPOSITORY, 'crates/providers/fixtures/whapi');
const vector = (name) => JSON.parse(fs.readFileSync(path.join(VECTORS, name + '.json'), 'utf8'));

/** A provider id of WHAPI's form that nobody used before. */
const freshId = () => 'Q' + crypto.randomBytes(10).toString('hex') + '-g' + crypto.randomBytes(6).toString('hex');

/** The text vector as another message. */
function textEvent({ id = freshId(), body = unique('inbound'), from = '447700900123', channel } = {}) {
    const event = vector('message_text');
    Object.assign(event.messages[0], { id, from, chat_id: from + '@s.whatsapp.net', text: { body } });
    if (channel) {
        event.channel_id = channel;
    }
    return { event, id, body };
}

/** Timestamp column of an instant in seconds. */
const at = (seconds) => new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replace('T', ' ');

module.exports = async (suite, demo) => {
    demo.need('WABRIDGE_PUBLIC_URL', 'WHAPI_CONFIGURATION_ID', 'WHAPI_WEBHOOK_TOKEN', 'WHAPI_WEBHOOK_SECRET', 'WHAPI_CHANNEL_ID');
    const { db, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const row = (id) => db.row('SELECT * FROM whatsapp_message WHERE configuration_id = $1 AND message_id = $2', [account, id]);
    const arrived = (id, seconds = 20) => until('a row of ' + id, () => row(id), seconds);
    const journal = () => db.value('SELECT count(*) FROM wabridge.journal');
    /** What the journal still holds against the body that contains `word`. */
    const pending = (word) => db.row(`SELECT p.* FROM wabridge.journal_pending p JOIN wabridge.journal j ON j.id = p.journal_id
        WHERE position(convert_to($1, 'UTF8') IN j.body) > 0`, [word]);
    const contact = async (id) => (await db.row('SELECT * FROM whatsapp_contact WHERE id = $1', [id])) || {};
    const accept = async (event, changes) => {
        const answer = await demo.whapi(event, changes);
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.json.success, true);
        return answer.json.data.accepted;
    };

    await suite.step('control: the same event, well signed, becomes a row', async () => {
        const { event, id, body } = textEvent();
        await accept(event);
        const stored = await arrived(id);
        assert.equal(stored.content, body);
    });

    /** The journal does not grow by itself: webhooks of earlier checks are over. */
    const quiet = () => until('no webhook for 1 s', async () => {
        const before = await journal();
        await sleep(1000);
        return await journal() === before;
    }, 30);

    await suite.check('401 and no rows but the counter: unsigned, wrong secret, unknown token, another account\'s token', () => withSecondAccount(demo, async () => {
        await quiet();
        const other = ['META', 'WASSENGER', 'CUSTOM'].find((name) => env[name + '_WEBHOOK_TOKEN']);
        const wrong = [
            { secret: null },
            { secret: 'wrong' },
            { secret: '' },
            { secret: env.WHAPI_WEBHOOK_SECRET + 'x' },
            { token: 'unknown' },
            { token: 'unknown', secret: null },
            { token: null, secret: null },
            { token: null, secret: 'wrong' },
            { token: env.WHAPI_WEBHOOK_TOKEN, secret: SECOND.secret },
            { token: SECOND.token },
            ...(other ? [{ token: env[other + '_WEBHOOK_TOKEN'] }] : []),
        ];
        // The row of this minute may be there already: what counts is what it counts.
        const counted = () => db.value("SELECT coalesce(sum(count), 0)::bigint FROM wabridge.refusal_minute WHERE zone = 'webhook'");
        const audited = () => db.value("SELECT count(*) FROM whatsapp_audit_log WHERE operation LIKE 'webhook%'");
        const before = {
            journal: await journal(), counted: await counted(), audit: await audited(),
        };
        const minutes = new Set([new Date().getUTCMinutes()]);
        const bodies = new Set();
        for (const [i, changes] of wrong.entries()) {
            const { event, id } = textEvent();
            const answer = await demo.whapi(event, changes);
            assert.equal(answer.status, 401, 'case ' + i + ' ' + answer.text);
            bodies.add(answer.text);
            assert.equal(await row(id), undefined, 'case ' + i + ' was stored');
        }
        minutes.add(new Date().getUTCMinutes());
        assert.equal(bodies.size, 1, 'the answers differ, so tokens can be enumerated: ' + [...bodies].join(' | '));
        assert.equal(await journal(), before.journal, 'the journal grew');
        const grown = async () => await audited() - before.audit;
        assert.ok(await grown() <= minutes.size, 'more than a counter row per minute');
        await until('the counter of the refusals', async () => await counted() - before.counted >= wrong.length, 30, 500);
        assert.ok(await db.value("SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'webhook.unauthenticated'") >= 1);
        assert.ok(await grown() <= minutes.size, 'more than a counter row per minute');
    }), 180);

    await suite.check('413 for a body above the limit', async () => {
        const answer = await demo.whapi('{"messages":"' + 'x'.repeat(40 * 1024 * 1024) + '"}').catch((error) => error);
        assert.ok(answer.status === 413 || /EPIPE|ECONNRESET|other side closed/.test(answer.message), answer.status || answer.message);
    });

    await suite.check('health of the public listener tells no details', async () => {
        const answer = await http(env.WABRIDGE_PUBLIC_URL + '/whatsapp/health');
        assert.equal(answer.status, 200);
        assert.deepEqual(answer.json, { status: 'ok' });
    });

    await suite.check('an unknown channel is answered 200 and quarantined', async () => {
        const { event, id } = textEvent({ channel: 'NOBODY-' + crypto.randomBytes(3).toString('hex').toUpperCase() });
        await accept(event);
        const entry = await until('a journal_pending entry of ' + id, () => pending(id), 20);
        assert.equal(entry.state, 'quarantined');
        assert.equal(entry.reason, 'unknown_channel');
        assert.equal(await row(id), undefined, 'it was stored in an account');
    });

    await suite.check('an authentic body that cannot be read is answered 200 and quarantined', async () => {
        const word = unique('unreadable');
        assert.equal((await demo.whapi('{"messages": ["' + word)).status, 200);
        const entry = await until('a journal_pending entry', () => pending(word), 20);
        assert.equal(entry.state, 'quarantined');
        assert.equal(entry.reason, 'unreadable');
    });

    await suite.check('the same event five times: one row, no sequence value burnt', async () => {
        const { event, id } = textEvent();
        await accept(event);
        await arrived(id);
        const tables = ['whatsapp_message', 'whatsapp_contact', 'whatsapp_chat'];
        const sequences = () => db.row('SELECT ' + tables.map((table) =>
            '(SELECT last_value FROM ' + table + '_id_seq) AS ' + table).join(', '));
        await quiet();
        const before = await sequences();
        for (let i = 0; i < 4; i++) {
            await accept(event);
        }
        await sleep(3000); // longer than a sweep, should one of them have gone aside
        assert.deepEqual(await sequences(), before);
        assert.equal(await db.value('SELECT count(*) FROM whatsapp_message WHERE message_id = $1', [id]), 1);
    });

    // The vectors themselves: byte for byte as the sheet prints them, so a second run changes nothing.
    await suite.check('vector text', async () => {
        const event = vector('message_text');
        await accept(event);
        const [message] = event.messages;
        const stored = await arrived(message.id);
        assert.equal(stored.content, message.text.body);
        assert.equal(stored.message_type, 'text');
        assert.equal(stored.direction, 'inbound');
        assert.equal(stored.from_me, false);
        assert.equal(stored.provider, 'whapi');
        assert.equal(stored.origin, 'provider');
        assert.equal(stored.status, 'delivered');
        assert.equal(stored.timestamp, at(message.timestamp));
        assert.ok(stored.chat_id);
        assert.equal(stored.group_id, null);
        const sender = await contact(stored.contact_id);
        assert.match(sender.phone, /^\+?447700900123$/);
        assert.equal(sender.pushname, message.from_name);
        assert.equal(await db.value('SELECT count(*) FROM whatsapp_message WHERE message_id = $1', [message.id]), 1);
    });

    await suite.check('vector text in a group', async () => {
        const event = vector('message_group_text');
        await accept(event);
        const [message] = event.messages;
        const stored = await arrived(message.id);
        assert.equal(stored.content, message.text.body);
        assert.equal(stored.direction, 'inbound');
        const group = await db.row('SELECT * FROM whatsapp_group WHERE id = $1', [stored.group_id]);
        assert.equal(group.group_id, message.chat_id);
        assert.equal(group.name, message.chat_name);
        assert.match((await contact(stored.contact_id)).phone, /^\+?447700900123$/);
    });

    await suite.check('vector echo of an API send that is not ours, then each status, in the wrong order', async () => {
        const event = vector('message_from_me_api_echo');
        await accept(event);
        const [message] = event.messages;
        const stored = await arrived(message.id, 60); // parked while a send in that chat is open
        assert.equal(stored.direction, 'outbound');
        assert.equal(stored.from_me, true);
        assert.equal(stored.content, message.text.body);
        const columns = { read: 'read_at', failed: 'failed_at', sent: 'sent_at', delivered: 'delivered_at' };
        for (const [word, column] of Object.entries(columns)) {
            const status = vector('status_' + word);
            await accept(status);
            await until(column + ' of ' + message.id, async () => (await row(message.id))[column] === at(status.statuses[0].timestamp), 20);
        }
        assert.equal((await row(message.id)).status, 'read'); // the greatest that is known
    });

    await suite.check('vector status failed alone: failed, with the provider\'s words', async () => {
        const id = freshId();
        const echo = vector('message_from_me_api_echo');
        echo.messages[0].id = id;
        const status = vector('status_failed');
        status.statuses[0].id = id;
        await accept(echo);
        await arrived(id, 60);
        await accept(status);
        await until('status failed', async () => (await row(id)).status === 'failed', 20);
        const stored = await row(id);
        assert.match(stored.error_message, /send failed/);
        assert.ok(stored.error_code);
    });

    await suite.check('statuses before their message wait for it', async () => {
        const id = freshId();
        for (const word of ['delivered', 'sent']) {
            const status = vector('status_' + word);
            status.statuses[0].id = id;
            await accept(status);
        }
        assert.equal(await row(id), undefined);
        const echo = vector('message_from_me_api_echo');
        echo.messages[0].id = id;
        await accept(echo);
        await until('status delivered', async () => ((await row(id)) || {}).status === 'delivered', 60);
        assert.ok((await row(id)).sent_at);
    });

    await suite.check('several events in one body, one of them broken: the others apply, that one is quarantined', async () => {
        const first = textEvent();
        const second = textEvent();
        const broken = textEvent().event.messages[0];
        delete broken.id;
        first.event.messages.push(broken, second.event.messages[0]);
        await accept(first.event);
        await arrived(first.id);
        await arrived(second.id);
        const entry = await until('a journal_pending entry', () => pending(first.id), 20);
        assert.equal(entry.state, 'quarantined');
    });

    await suite.check('sub-paths, PUT, PATCH and the address without token are taken too', async () => {
        for (const [method, tail] of [['POST', '/messages/post'], ['PUT', ''], ['PATCH', '/messages/patch']]) {
            const { event, id } = textEvent();
            await accept(event, { method, token: env.WHAPI_WEBHOOK_TOKEN + tail });
            await arrived(id);
        }
        const { event, id } = textEvent();
        await accept(event, { token: null });
        await arrived(id);
    });
};

const SECOND = { token: 'e2e-other-token-0123456789', secret: 'e2e-other-secret-0123456789' };

/** Runs `body` while a second WHAPI account with the token and secret of SECOND takes webhooks. */
async function withSecondAccount(demo, body) {
    const configuration = (method, ...args) => demo.admin.call('whatsapp.configuration', method, args);
    let id = await demo.db.value("SELECT id FROM whatsapp_configuration WHERE name = 'e2e second account'");
    if (!id) {
        id = await configuration('create', { name: 'e2e second account', provider: 'whapi', channel_id: 'E2E-SECOND', sequence: 900 });
    }
    const { seal_uuid } = await demo.db.row('SELECT seal_uuid FROM whatsapp_configuration WHERE id = $1', [id]);
    const uid = await demo.admin.uid();
    const seal = async (column, value) => (await demo.bridge.result('configuration.seal', { uid, seal_uuid, column, value })).data.sealed;
    await configuration('write', [id], {
        active: true,
        webhook_token: await seal('webhook_token', SECOND.token),
        webhook_secret: await seal('webhook_secret', SECOND.secret),
    });
    try {
        // accounts are read again within seconds: the pair itself must work, else its halves prove nothing
        const event = { messages: [], event: { type: 'messages', event: 'post' }, channel_id: 'E2E-SECOND' };
        await until('the second account takes webhooks', async () =>
            (await demo.webhook('whapi', { ...SECOND, body: event })).status === 200, 30, 500);
        await body();
    } finally {
        await configuration('write', [id], { active: false });
    }
}
