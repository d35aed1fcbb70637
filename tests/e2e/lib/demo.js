// The running demo, seen from outside: its settings, Odoo, the daemon, the simulator and the database.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { Client, types } = require('pg');

types.setTypeParser(types.builtins.INT8, Number);
types.setTypeParser(types.builtins.TIMESTAMP, (text) => text);

const REPOSITORY = path.resolve(__dirname, '../../..');
const HTTP_LIMIT = 30000; // ms until a request that nobody answers is given up

/** The variables of a file of `NAME=value` lines; `export` and shell quotes are understood. */
function readEnv(file) {
    const env = {};
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
        const found = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line);
        if (found) {
            env[found[1]] = found[2].trim().replace(/^(['"])(.*)\1$/, '$2');
        }
    }
    return env;
}

/** @returns {{status, headers, text, json}} whatever the status is; `json` is undefined for other bodies */
async function http(url, { method = 'GET', headers = {}, body, limit = HTTP_LIMIT } = {}) {
    const options = { method, headers, body, redirect: 'manual', signal: AbortSignal.timeout(limit) };
    let response;
    try {
        response = await fetch(url, options);
    } catch (error) {
        throw new Error(method + ' ' + url + ': ' + ((error.cause && error.cause.message) || error.message));
    }
    const bytes = Buffer.from(await response.arrayBuffer());
    const answer = { status: response.status, headers: response.headers, bytes, text: bytes.toString('utf8') };
    if (/json/.test(response.headers.get('content-type') || '')) {
        answer.json = JSON.parse(answer.text);
    }
    return answer;
}

const postJson = (url, body, options = {}) => http(url, {
    method: 'POST', ...options, body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...options.headers },
});

/** A refusal by Odoo: `kind` is the Python exception, for example `odoo.exceptions.AccessError`. */
class OdooError extends Error {
    constructor(error) {
        const data = error.data || {};
        super((data.name || 'error') + ': ' + (data.message || error.message));
        this.kind = data.name;
        this.trace = data.debug;
    }
}

/** One Odoo user over JSON-RPC, every call a request of its own. */
class OdooUser {
    constructor(url, db, login, password) {
        Object.assign(this, { url, db, login, password });
    }

    async service(service, method, args, limit) {
        const answer = await postJson(this.url + '/jsonrpc',
            { jsonrpc: '2.0', method: 'call', id: 1, params: { service, method, args } }, { limit });
        if (!answer.json) {
            throw new Error('Odoo answered ' + answer.status + ': ' + answer.text.slice(0, 200));
        }
        if (answer.json.error) {
            throw new OdooError(answer.json.error);
        }
        return answer.json.result;
    }

    async uid() {
        this.id = this.id || await this.service('common', 'login', [this.db, this.login, this.password]);
        if (!this.id) {
            throw new Error('Odoo refuses the login of ' + this.login);
        }
        return this.id;
    }

    /** `limit` in ms. */
    async call(model, method, args = [], kwargs = {}, limit = HTTP_LIMIT) {
        return this.service('object', 'execute_kw',
            [this.db, await this.uid(), this.password, model, method, args, kwargs], limit);
    }

    /** A POST to one of the addon's JSON routes with this user's web session. */
    async route(routePath, params, limit = HTTP_LIMIT) {
        if (!this.cookie) {
            const login = await postJson(this.url + '/web/session/authenticate', {
                jsonrpc: '2.0', method: 'call',
                params: { db: this.db, login: this.login, password: this.password },
            });
            const session = (login.headers.get('set-cookie') || '').match(/session_id=[^;]+/);
            if (!session || !login.json.result || !login.json.result.uid) {
                throw new Error('no web session for ' + this.login);
            }
            this.cookie = session[0];
        }
        const answer = await postJson(this.url + routePath, { jsonrpc: '2.0', method: 'call', params },
            { headers: { cookie: this.cookie }, limit });
        if (!answer.json) {
            throw new Error(routePath + ' answered ' + answer.status);
        }
        if (answer.json.error) {
            throw new OdooError(answer.json.error);
        }
        return answer.json.result;
    }
}

/** The daemon's private listener. */
class Bridge {
    constructor(url, keyId, secret) {
        Object.assign(this, { url, keyId, secret, count: 0 });
    }

    /** The header of design section 4; every part can be replaced to make a wrong one. */
    sign(method, routePath, body, { key = this.keyId, secret = this.secret, ts = Math.floor(Date.now() / 1000),
        nonce = crypto.randomBytes(16).toString('base64url') } = {}) {
        const digest = crypto.createHash('sha256').update(body).digest('hex');
        const words = ['WABRIDGE1', ts, nonce, method, routePath, digest].join('\n');
        const sig = crypto.createHmac('sha256', secret).update(words).digest('hex');
        return 'WABRIDGE1-HMAC-SHA256 key=' + key + ',ts=' + ts + ',nonce=' + nonce + ',sig=' + sig;
    }

    /** The raw answer to `body` (a string); `authorization` null sends no header at all. */
    post(body, { authorization = this.sign('POST', '/rpc', body), limit = 70000 } = {}) {
        const headers = { 'content-type': 'application/json' };
        if (authorization !== null) {
            headers.authorization = authorization;
        }
        return http(this.url + '/rpc', { method: 'POST', headers, body, limit });
    }

    /** The JSON-RPC answer: `result` or `error`. */
    async call(method, params) {
        this.count += 1;
        const answer = await this.post(JSON.stringify({ jsonrpc: '2.0', id: this.count, method, params }));
        if (!answer.json) {
            throw new Error('/rpc answered ' + answer.status + ': ' + answer.text.slice(0, 200));
        }
        return answer.json;
    }

    /** The result; an error is thrown. */
    async result(method, params) {
        const { result, error } = await this.call(method, params);
        if (error) {
            throw new Error(method + ': ' + error.code + ' ' + error.message);
        }
        return result;
    }
}

/** The control routes of the simulator, design section 10. */
class Simulator {
    constructor(url) {
        Object.assign(this, { url, last: 0 });
    }

    async control(method, routePath, body) {
        const answer = body === undefined
            ? await http(this.url + '/_control' + routePath, { method })
            : await postJson(this.url + '/_control' + routePath, body, { method });
        if (answer.status >= 300) {
            throw new Error('simulator: ' + method + ' ' + routePath + ' -> ' + answer.status + ' ' + answer.text.slice(0, 200));
        }
        return answer.json;
    }

    async requests(since = 0) {
        return (await this.control('GET', '/requests?since=' + since)).requests;
    }

    /** The number of the newest request, to be used as `since`. */
    async mark() {
        this.last = (await this.requests(this.last)).reduce((highest, { n }) => Math.max(highest, n), this.last);
        return this.last;
    }

    /** The calls since `mark` that would send a text, oldest first, as {n, at, to, text}. */
    async texts(mark, contains = '') {
        return (await this.requests(mark))
            .filter(({ method, path: at }) => method === 'POST' && /\/messages\/text$/.test(at))
            .map(({ n, at, body }) => {
                const sent = typeof body === 'string' ? JSON.parse(body) : body;
                return { n, at, to: sent.to, text: sent.body };
            })
            .filter(({ text }) => text.includes(contains))
            .sort((a, b) => a.n - b.n);
    }

    fault(fault) { return this.control('POST', '/faults', fault); }
    noFaults() { return this.control('DELETE', '/faults'); }
    inbound(message) { return this.control('POST', '/inbound', message); }
}

/** One connection to the demo's database. */
class Database {
    constructor(url) {
        this.url = url;
    }

    async client() {
        if (!this.connecting) {
            const client = new Client({ connectionString: this.url, application_name: 'wabridge-e2e' });
            client.on('error', () => { this.connecting = null; }); // a dropped database ends its connections
            this.connecting = client.connect().then(() => client);
        }
        return this.connecting;
    }

    async rows(sql, params = []) {
        return (await (await this.client()).query(sql, params)).rows;
    }

    /** The only row, or undefined. */
    async row(sql, params) {
        return (await this.rows(sql, params))[0];
    }

    /** The only column of the only row. */
    async value(sql, params) {
        const row = await this.row(sql, params);
        return row && Object.values(row)[0];
    }

    /** A second connection, to the same database or to another one of the cluster. */
    another(name) {
        const url = new URL(this.url);
        if (name) {
            url.pathname = '/' + name;
        }
        return new Database(url.href);
    }

    async close() {
        if (this.connecting) {
            const client = await this.connecting;
            this.connecting = null;
            await client.end();
        }
    }
}

/** The demo of one env file. */
class Demo {
    constructor(file) {
        this.file = path.resolve(file);
        if (!fs.existsSync(this.file)) {
            throw new Error('there is no demo at ' + this.file + ': start one with bash deploy/demo.sh, or name its env file in DEMO_ENV');
        }
        this.env = readEnv(this.file);
        const { ODOO_URL, ODOO_DB, DATABASE_URL, WABRIDGE_PRIVATE_URL, SIMULATOR_URL } = this.env;
        this.need('ODOO_URL', 'ODOO_DB', 'DATABASE_URL');
        this.db = new Database(DATABASE_URL);
        this.admin = new OdooUser(ODOO_URL, ODOO_DB, this.env.ODOO_LOGIN, this.env.ODOO_PASSWORD);
        this.user = new OdooUser(ODOO_URL, ODOO_DB, this.env.ODOO_USER_LOGIN, this.env.ODOO_USER_PASSWORD);
        this.bridge = new Bridge(WABRIDGE_PRIVATE_URL, this.env.WABRIDGE_RPC_KEY_ID, this.env.WABRIDGE_RPC_SECRET);
        this.simulator = new Simulator(SIMULATOR_URL);
    }

    /** Throws one line that names every variable missing from the file. */
    need(...names) {
        const missing = names.filter((name) => !this.env[name]);
        if (missing.length) {
            throw new Error(this.file + ' lacks ' + missing.join(', ') + '; write it anew with deploy/demo.sh');
        }
    }

    /** 14 or 19. */
    async series() {
        if (!this.seriesFound) {
            const answer = await postJson(this.env.ODOO_URL + '/web/webclient/version_info', { jsonrpc: '2.0', params: {} });
            this.seriesFound = answer.json.result.server_version_info[0];
        }
        return this.seriesFound;
    }

    async anotherUser(login, password) {
        return new OdooUser(this.env.ODOO_URL, this.env.ODOO_DB, login, password);
    }

    /** The id of a record named in the addon, for example a group. */
    async ref(name) {
        return this.db.value('SELECT res_id FROM ir_model_data WHERE module = $1 AND name = $2', name.split('.'));
    }

    /** POST of a provider's webhook; `token` null leaves the path token out. */
    webhook(provider, { token = null, secret = null, body, headers = {}, method = 'POST' }) {
        return http(this.env.WABRIDGE_PUBLIC_URL + '/whatsapp/webhook/' + provider + (token === null ? '' : '/' + token), {
            method,
            body: typeof body === 'string' ? body : JSON.stringify(body),
            headers: {
                'content-type': 'application/json',
                ...(secret === null ? {} : { authorization: 'Bearer ' + secret }),
                ...headers,
            },
        });
    }

    /** What the WHAPI account's own webhook would be. */
    whapi(body, changes = {}) {
        return this.webhook('whapi', { token: this.env.WHAPI_WEBHOOK_TOKEN, secret: this.env.WHAPI_WEBHOOK_SECRET, body, ...changes });
    }

    async close() {
        await this.db.close();
    }
}

module.exports = { Demo, Bridge, Database, OdooError, REPOSITORY, http, postJson };
