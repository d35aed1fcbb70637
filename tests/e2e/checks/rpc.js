// Who may call the daemon, and for whom.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { Bridge, OdooError } = require('../lib/demo.js');
const { secondDaemon } = require('../lib/daemon.js');
const { until } = require('../lib/suite.js');
const { unique, person, userWith, messages, messageIs, ACCEPTED } = require('../lib/scene.js');

const request = (method, params, id = 1) => JSON.stringify({ jsonrpc: '2.0', id, method, params });

module.exports = async (suite, demo) => {
    demo.need('WABRIDGE_PRIVATE_URL', 'WABRIDGE_RPC_KEY_ID', 'WABRIDGE_RPC_SECRET', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { bridge, simulator, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const admin = await demo.admin.uid();
    const user = await demo.user.uid();
    const health = request('configuration.health', { uid: admin, configuration_id: account });
    const sign = (changes, body = health) => bridge.sign('POST', '/rpc', body, changes);
    const send = (uid, to, text, more = {}) => ({ uid, to, type: 'text', text: { body: text }, ...more });
    const nothingSent = async (mark, text) => {
        assert.equal((await messages(demo, text)).length, 0, 'a row was stored');
        assert.equal((await simulator.texts(mark, text)).length, 0, 'the provider was called');
    };
    const refused = (code) => ({ error }) => {
        assert.ok(error, 'it was accepted');
        assert.equal(error.code, code, error.code + ' ' + error.message);
        assert.equal(typeof error.data.kind, 'string');
        assert.equal(typeof error.data.retryable, 'boolean');
    };

    await suite.step('a signed call is answered', async () => {
        const { data, meta } = await bridge.result('configuration.health', { uid: admin, configuration_id: account });
        assert.ok(data.state);
        assert.equal(meta.provider, 'whapi');
        assert.ok(meta.request_id);
        return 'state ' + data.state;
    });

    const now = Math.floor(Date.now() / 1000);
    const flipped = sign({}).replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    const wrong = {
        'no signature': null,
        'an empty header': '',
        'another scheme': 'Bearer ' + env.WABRIDGE_RPC_SECRET,
        'a wrong signature': flipped,
        'a wrong secret': sign({ secret: 'not the secret' }),
        'an unknown key': sign({ key: 'nobody' }),
        'stale by 400 s': sign({ ts: now - 400 }),
        'ahead by 400 s': sign({ ts: now + 400 }),
        'a short nonce': sign({ nonce: 'short' }),
        'a nonce with other characters': sign({ nonce: 'a'.repeat(20) + '!' }),
        'a signature of another body': sign({}, health + ' '),
        'a signature of another path': bridge.sign('POST', '/rpc?x=1', health),
        'a signature of another method': bridge.sign('GET', '/rpc', health),
        'words that are no header at all': 'WABRIDGE1-HMAC-SHA256 key',
    };
    for (const [name, authorization] of Object.entries(wrong)) {
        await suite.check('401: ' + name, async () => {
            const answer = await bridge.post(health, { authorization });
            assert.equal(answer.status, 401);
            assert.ok(!/"result"/.test(answer.text), 'it carries a result');
        });
    }

    await suite.check('401: a replayed nonce', async () => {
        const authorization = sign({});
        assert.equal((await bridge.post(health, { authorization })).status, 200);
        assert.equal((await bridge.post(health, { authorization })).status, 401);
    });

    await suite.check('401: a bad signature does not burn the nonce of a good one', async () => {
        const nonce = crypto.randomBytes(16).toString('base64url');
        assert.equal((await bridge.post(health, { authorization: sign({ nonce, secret: 'wrong' }) })).status, 401);
        assert.equal((await bridge.post(health, { authorization: sign({ nonce }) })).status, 200);
    });

    await suite.check('401: a nonce replayed at a second daemon', async () => {
        const second = await secondDaemon(demo);
        try {
            const twin = new Bridge(second.privateUrl, env.WABRIDGE_RPC_KEY_ID, env.WABRIDGE_RPC_SECRET);
            const authorization = sign({});
            assert.equal((await bridge.post(health, { authorization })).status, 200);
            assert.equal((await twin.post(health, { authorization })).status, 401, 'the twin took a used nonce');
            assert.equal((await twin.post(health)).status, 200, 'the twin refuses good calls too');
        } finally {
            await second.stop();
        }
    });

    await suite.check('a batch is refused and does nothing', async () => {
        const text = unique('in a batch');
        const mark = await simulator.mark();
        const body = '[' + request('message.send', send(admin, person(), text)) + ']';
        const answer = await bridge.post(body);
        assert.ok(!/"result"/.test(answer.text), answer.text);
        assert.ok(answer.status >= 400 || /"error"/.test(answer.text), 'status ' + answer.status + ' ' + answer.text);
        await nothingSent(mark, text);
    });

    await suite.check('a notification is refused and does nothing', async () => {
        const text = unique('a notification');
        const mark = await simulator.mark();
        const answer = await bridge.post(JSON.stringify({
            jsonrpc: '2.0', method: 'message.send', params: send(admin, person(), text) }));
        assert.ok(answer.status >= 400 || /"error"/.test(answer.text), 'status ' + answer.status + ' ' + answer.text);
        await nothingSent(mark, text);
    });

    const outsider = await userWith(demo, 'e2e-outsider', ['base.group_user']);
    const stranger = await userWith(demo, 'e2e-stranger', ['base.group_user', 'whatsapp_integration.group_whatsapp_user']);
    for (const [name, who] of [['without the WhatsApp group', outsider], ['of no account', stranger]]) {
        await suite.check('1001: a user ' + name, async () => {
            const text = unique('not allowed');
            const mark = await simulator.mark();
            refused(1001)(await bridge.call('message.send',
                send(await who.uid(), person(), text, { configuration_id: account })));
            refused(1001)(await bridge.call('configuration.health', { uid: await who.uid(), configuration_id: account }));
            await nothingSent(mark, text);
        });
    }

    await suite.check('a send, a sealed secret and a refused call leave an audit row each', async () => {
        const last = await demo.db.value('SELECT coalesce(max(id), 0) FROM whatsapp_audit_log');
        const row = (operation, success) => until('an audit row ' + operation, () => demo.db.row(
            'SELECT * FROM whatsapp_audit_log WHERE id > $1 AND operation LIKE $2 AND success = $3', [last, operation, success]), 15);
        const secret = unique('secret');
        const { seal_uuid } = await demo.db.row('SELECT seal_uuid FROM whatsapp_configuration WHERE id = $1', [account]);
        const { meta } = await bridge.result('message.send', send(user, person(), unique('audited')));
        const { data } = await bridge.result('configuration.seal', { uid: admin, seal_uuid, column: 'token', value: secret });
        assert.match(data.sealed, /^wab1:/);
        refused(1001)(await bridge.call('message.send', send(await stranger.uid(), person(), unique('audited'), { configuration_id: account })));
        const sent = await row('message.send', true);
        assert.equal(sent.user_id, user);
        assert.equal(sent.request_id, meta.request_id);
        await row('credential.change', true);
        const denied = await row('%', false);
        assert.equal(denied.user_id, await stranger.uid());
        const rows = await demo.db.rows('SELECT * FROM whatsapp_audit_log WHERE id > $1', [last]);
        assert.ok(!JSON.stringify(rows).includes(secret), 'the secret stands in the audit log');
    });

    await suite.check('1001: a uid that is nobody', async () => {
        refused(1001)(await bridge.call('configuration.health', { uid: 987654321, configuration_id: account }));
    });

    await suite.check('an account that does not exist: 1001 for a user, 1002 for an administrator', async () => {
        refused(1001)(await bridge.call('configuration.health', { uid: user, configuration_id: 987654321 }));
        refused(1002)(await bridge.call('configuration.health', { uid: admin, configuration_id: 987654321 }));
    });

    await suite.check('the same user on his own account may', async () => {
        const text = unique('allowed');
        const { data } = await bridge.result('message.send', send(user, person(), text, { configuration_id: account, wait_ms: 10000 }));
        const row = await messageIs(demo, text, ACCEPTED);
        assert.equal(row.id, data.id);
        assert.equal(row.user_id, user);
    });

    await suite.check('1001: user_id of somebody else through Odoo\'s own RPC', async () => {
        const text = unique('in his name');
        const mark = await simulator.mark();
        const answer = await demo.user.call('whatsapp.core.service', 'send_text_message', [person(), text], { user_id: admin });
        assert.equal(answer.success, false);
        assert.equal(answer.error.code, 1001);
        await nothingSent(mark, text);
        const own = unique('in my name');
        assert.equal((await demo.user.call('whatsapp.core.service', 'send_text_message', [person(), own], { user_id: user })).success, true);
        await messageIs(demo, own, ACCEPTED);
    });

    await suite.check('1001: without the group through Odoo\'s own RPC', async () => {
        const text = unique('no group');
        const mark = await simulator.mark();
        const answer = await outsider.call('whatsapp.core.service', 'send_text_message', [person(), text]);
        assert.equal(answer.success, false);
        assert.equal(answer.error.code, 1001);
        await nothingSent(mark, text);
    });

    await suite.check('history cannot be written over Odoo\'s RPC, not by an administrator either', async () => {
        const row = await demo.db.row('SELECT id FROM whatsapp_message ORDER BY id DESC LIMIT 1');
        for (const who of [demo.user, demo.admin]) {
            const denied = { constructor: OdooError };
            for (const [method, args] of [['write', [[row.id], { content: 'changed' }]], ['unlink', [[row.id]]],
                ['create', [{ content: 'made up', configuration_id: account }]]]) {
                await assert.rejects(who.call('whatsapp.message', method, args),
                    (error) => error.constructor === denied.constructor && /AccessError|UserError/.test(error.kind), method);
            }
        }
    });

    await suite.check('a user sees neither secrets nor the audit log', async () => {
        await assert.rejects(demo.user.call('whatsapp.configuration', 'read', [[account], ['token']]), { kind: 'odoo.exceptions.AccessError' });
        await assert.rejects(demo.user.call('whatsapp.audit.log', 'search_read', [[]]), { kind: 'odoo.exceptions.AccessError' });
    });

    await suite.check('rpc.discover describes the methods', async () => {
        const described = await bridge.result('rpc.discover', {});
        const names = described.methods.map(({ name }) => name);
        for (const name of ['message.send', 'message.status', 'configuration.seal', 'configuration.test',
            'configuration.health', 'configuration.register_webhook', 'configuration.capabilities']) {
            assert.ok(names.includes(name), name + ' is missing from ' + names.join(', '));
        }
    });
};
