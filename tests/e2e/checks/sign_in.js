// Odoo's own second factor (auth_totp) and sign-in by OAuth (auth_oauth) beside the addon: its routes want a session that is
// signed in, however that came about, and what the daemon and Odoo say to each other needs none.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const nodeHttp = require('node:http');
const path = require('node:path');
const { Bridge, http } = require('../lib/demo.js');
const { unique, person, serverAction, userWith, messageIs, ACCEPTED } = require('../lib/scene.js');

const SECRET = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'; // base32, made up

/** The six digits of RFC 6238 for this half minute. */
function totp(secret) {
    const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
    const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
    const counter = Buffer.alloc(8);
    counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
    const digest = crypto.createHmac('sha1', key).update(counter).digest();
    const at = digest[19] & 15;
    return String((digest.readUInt32BE(at) & 0x7fffffff) % 1e6).padStart(6, '0');
}

/** A browser as far as cookies and redirects go. */
class Visitor {
    constructor(url) {
        Object.assign(this, { url, cookies: {} });
    }

    async ask(where, options = {}) {
        const cookie = Object.entries(this.cookies).map(([name, value]) => name + '=' + value).join('; ');
        const answer = await http(this.url + where, { ...options, headers: { ...options.headers, ...(cookie && { cookie }) } });
        for (const line of answer.headers.getSetCookie()) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
            this.cookies[name] = value;
        }
        return answer;
    }

    /** Fills the form of a page in. */
    async submit(where, fields) {
        const page = await this.ask(where);
        const [, csrf] = /name="csrf_token" value="([^"]+)"/.exec(page.text) || [];
        assert.ok(csrf, where + ' has no form: ' + page.status);
        return this.ask(where, { method: 'POST', body: new URLSearchParams({ ...fields, csrf_token: csrf }).toString(),
            headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    }

    /** The addon's route: its answer, or the exception's name. */
    async send(to, message) {
        const answer = await this.ask('/whatsapp/send/text', { method: 'POST', headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ jsonrpc: '2.0', method: 'call', params: { to, message } }) });
        return answer.json && answer.json.result ? answer.json.result : (answer.json && answer.json.error.data.name) || answer.status;
    }
}

/** Somebody who vouches for people: knows one token. */
function identityProvider(token, subject) {
    const server = nodeHttp.createServer((request, response) => {
        const asked = new URL(request.url, 'http://x').searchParams.get('access_token');
        const known = asked === token || request.headers.authorization === 'Bearer ' + token;
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(known ? { user_id: subject, email: 'oauth@example.com' } : { error: 'invalid_token' }));
    });
    return new Promise((done) => { server.listen(0, '127.0.0.1', () => done(server)); });
}

module.exports = async (suite, demo) => {
    demo.need('ODOO_URL', 'ODOO_DB', 'WABRIDGE_CONFIG', 'WHAPI_CONFIGURATION_ID');
    const { db, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const series = await demo.series();
    const groups = ['base.group_user', 'whatsapp_integration.group_whatsapp_user'];
    const member = async (login) => {
        const user = await userWith(demo, login, groups);
        const id = await db.value('SELECT id FROM res_users WHERE login = $1', [login]);
        await demo.admin.call('whatsapp.configuration', 'write', [[account], { user_ids: [[4, id]] }]);
        return { user, id };
    };
    const leave = (id) => demo.admin.call('whatsapp.configuration', 'write', [[account], { user_ids: [[3, id]] }]);
    const refused = (answer) => /SessionExpired|AccessDenied|Forbidden/.test(answer) || [303, 401, 403].includes(answer);
    const works = async (visitor) => {
        const text = unique('sign-in');
        const answer = await visitor.send(person(), text);
        assert.equal(answer.success, true, JSON.stringify(answer));
        return messageIs(demo, text, ACCEPTED);
    };

    const two = await member('e2e_two_factors');
    await db.rows('UPDATE res_users SET totp_secret = $1 WHERE id = $2', [SECRET, two.id]);
    try {
        await suite.check('two factors: between password and code the routes refuse, after the code they work', async () => {
            const visitor = new Visitor(env.ODOO_URL);
            await visitor.ask('/web?db=' + env.ODOO_DB);
            const first = await visitor.submit('/web/login', { login: 'e2e_two_factors', password: 'e2e-password' });
            assert.match(first.headers.get('location') || '', /\/web\/login\/totp/);
            const half = await visitor.send(person(), 'never');
            assert.ok(refused(half), JSON.stringify(half));
            const wrong = await visitor.submit('/web/login/totp', { totp_token: totp(SECRET) === '000000' ? '111111' : '000000' });
            assert.equal(wrong.status, 200);
            assert.ok(refused(await visitor.send(person(), 'never')));
            const second = await visitor.submit('/web/login/totp', { totp_token: totp(SECRET) });
            assert.equal(second.status, 303, second.text.slice(0, 300));
            const row = await works(visitor);
            assert.equal(row.user_id, two.id);
        });
        await suite.check('two factors: over RPC the password is refused and an API key works', async () => {
            const text = unique('api-key');
            const send = () => two.user.call('whatsapp.core.service', 'send_text_message', [person(), text]);
            two.user.id = two.id;
            await assert.rejects(send, /AccessDenied/);
            const limit = series < 19 ? '' : ', datetime.datetime.now() + datetime.timedelta(days=1)';
            const action = await serverAction(demo, "key = env['res.users.apikeys'].with_user(" + two.id + ").sudo()._generate('rpc', 'e2e'" +
                limit + ")\naction = {'type': 'ir.actions.act_window_close', 'infos': {'key': key}}");
            two.user.password = action.infos.key;
            assert.equal((await send()).success, true);
            await messageIs(demo, text, ACCEPTED);
        });
    } finally {
        await db.rows('UPDATE res_users SET totp_secret = NULL WHERE id = $1', [two.id]);
        await leave(two.id);
    }

    const [token, subject] = [crypto.randomUUID(), crypto.randomUUID()];
    const idp = await identityProvider(token, subject);
    const by = await member('e2e_oauth');
    let provider;
    try {
        const address = 'http://127.0.0.1:' + idp.address().port;
        await suite.step('auth_oauth is installed', async () => {
            const [module] = await demo.admin.call('ir.module.module', 'search_read', [[['name', '=', 'auth_oauth']], ['state']]);
            if (module.state !== 'installed') {
                await demo.admin.call('ir.module.module', 'button_immediate_install', [[module.id]], {}, 300000);
            }
            provider = await demo.admin.call('auth.oauth.provider', 'create', [{ name: 'E2E', client_id: 'e2e', enabled: true,
                body: 'E2E', auth_endpoint: address + '/auth', validation_endpoint: address + '/userinfo' }]);
            await demo.admin.call('res.users', 'write', [[by.id], { oauth_provider_id: provider, oauth_uid: subject }]);
        });
        const signIn = async (visitor, with_) => visitor.ask('/auth_oauth/signin?' + new URLSearchParams({
            access_token: with_, state: JSON.stringify({ d: env.ODOO_DB, p: provider, r: '%2Fweb' }) }));
        await suite.check('OAuth: who signed in with a token of the provider uses the routes under his own name', async () => {
            const visitor = new Visitor(env.ODOO_URL);
            const answer = await signIn(visitor, token);
            assert.equal(answer.status, 303);
            assert.doesNotMatch(answer.headers.get('location') || '', /oauth_error/);
            const row = await works(visitor);
            assert.equal(row.user_id, by.id);
        });
        await suite.check('OAuth: a token that the provider does not know opens nothing', async () => {
            const visitor = new Visitor(env.ODOO_URL);
            const answer = await signIn(visitor, 'not-a-token');
            assert.match(answer.headers.get('location') || '', /oauth_error/);
            assert.ok(refused(await visitor.send(person(), 'never')));
        });
    } finally {
        idp.close();
        await leave(by.id);
        if (provider) {
            await demo.admin.call('auth.oauth.provider', 'write', [[provider], { enabled: false }]);
        }
    }

    await suite.check('without any session the daemon wakes Odoo, signed only, and health is told', async () => {
        const secret = fs.readFileSync(path.join(path.dirname(env.WABRIDGE_CONFIG), 'odoo.secret'), 'utf8').trim();
        const wake = '/whatsapp/bridge/wake';
        const signer = new Bridge(env.ODOO_URL, 'odoo', secret);
        const poke = (authorization) => http(env.ODOO_URL + wake, { method: 'POST', headers: authorization ? { authorization } : {} });
        const woken = await poke(signer.sign('POST', wake, ''));
        assert.ok(woken.status === 200 && woken.json.done >= 0, woken.text);
        assert.equal((await poke(signer.sign('POST', wake, '', { secret: 'wrong' }))).status, 401);
        assert.equal((await poke(null)).status, 401);
        assert.equal((await http(env.ODOO_URL + '/whatsapp/health')).status, 200);
        assert.ok(refused(await new Visitor(env.ODOO_URL).send(person(), 'never')));
    });
};
