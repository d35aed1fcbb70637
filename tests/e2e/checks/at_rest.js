// A provider token, a secret or a key in clear is nowhere: not in a dump, not in a log, not in an answer.
'use strict';
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { Bridge } = require('../lib/demo.js');
const { daemonLogs, secondDaemon, startDaemon, stopDaemon } = require('../lib/daemon.js');
const { unique, person, messageIs, ACCEPTED } = require('../lib/scene.js');

/** pg_dump of the newest installed PostgreSQL. */
function pgDump() {
    const root = '/usr/lib/postgresql';
    const versions = fs.existsSync(root) ? fs.readdirSync(root).sort((a, b) => b - a) : [];
    const found = versions.map((version) => root + '/' + version + '/bin/pg_dump').find((file) => fs.existsSync(file));
    if (!found) {
        throw new Error('no pg_dump under ' + root + ': install the package postgresql-client');
    }
    return found;
}

/** Every way a word can stand in a text: as it is, in hex (bytea) and in base64 at each of the three offsets. */
function disguises(word) {
    const bytes = Buffer.from(word);
    const inBase64 = [0, 1, 2].map((offset) => {
        const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
        // the outer characters also hold bits of what stands beside the word
        return text.slice(offset ? 4 : 0, -4);
    }).filter((text) => text.length >= 8);
    return [word, bytes.toString('hex'), ...inBase64, ...inBase64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))];
}

/** The lines of a dump that hold one of `words`, shortened. */
function searchDump(url, words) {
    return new Promise((done, refuse) => {
        const dump = spawn(pgDump(), ['--dbname=' + url], { stdio: ['ignore', 'pipe', 'pipe'] });
        const found = new Set();
        let [rest, lines, trouble] = ['', 0, ''];
        dump.stdout.setEncoding('utf8').on('data', (chunk) => {
            const parts = (rest + chunk).split('\n');
            rest = parts.pop();
            lines += parts.length;
            for (const line of parts) {
                words.filter((word) => line.includes(word)).forEach((word) => found.add(word));
            }
        });
        dump.stderr.on('data', (chunk) => { trouble += chunk; });
        dump.on('error', refuse);
        dump.on('close', (code) => (code ? refuse(new Error('pg_dump: ' + trouble)) : done({ found, lines })));
    });
}

module.exports = async (suite, demo) => {
    demo.need('WABRIDGE_RPC_SECRET', 'WHAPI_CONFIGURATION_ID', 'WHAPI_TOKEN', 'WHAPI_WEBHOOK_SECRET', 'WHAPI_WEBHOOK_TOKEN');
    const { env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const secrets = Object.entries(env)
        .filter(([name, value]) => /_(TOKEN|SECRET)$/.test(name) && value.length >= 8)
        .map(([name, value]) => ({ name, forms: disguises(value) }));
    const named = (found) => secrets.filter(({ forms }) => forms.some((form) => found(form))).map(({ name }) => name);
    const uid = await demo.admin.uid();
    const marker = unique('can be found');
    const to = person();

    await suite.step('a message with a marker is sent', async () => {
        await demo.bridge.result('message.send', { uid, configuration_id: account, to, type: 'text', text: { body: marker } });
        await messageIs(demo, marker, ACCEPTED);
        return secrets.map(({ name }) => name).join(' ');
    });

    await suite.check('no secret in a dump of the database (the marker is found)', async () => {
        const { found, lines } = await searchDump(env.DATABASE_URL, [marker, ...secrets.flatMap(({ forms }) => forms)]);
        assert.ok(found.has(marker), 'the search finds nothing at all in ' + lines + ' lines');
        assert.deepEqual(named((form) => found.has(form)), []);
        return lines + ' lines';
    }, 180);

    await suite.check('the column of the token is sealed', async () => {
        const row = await demo.db.row('SELECT token, webhook_token, webhook_secret FROM whatsapp_configuration WHERE id = $1', [account]);
        for (const [column, value] of Object.entries(row)) {
            assert.match(value, /^wab1:[^:]+:[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$/, column);
        }
    });

    await suite.check('no secret in the demo daemon\'s logs', async () => {
        const files = daemonLogs(demo);
        assert.ok(files.length, 'there is no log');
        for (const file of files) {
            const log = fs.readFileSync(file, 'utf8');
            assert.ok(log.length > 0, file + ' is empty');
            assert.deepEqual(named((form) => log.includes(form)), [], file);
        }
    });

    await suite.check('no secret, no text and no whole number in the log at its most verbose', async () => {
        await stopDaemon(demo);
        const loud = await secondDaemon(demo, { inPlace: true, settings: { WABRIDGE__LOG__FILTER: 'trace' } });
        const bridge = new Bridge(loud.privateUrl, env.WABRIDGE_RPC_KEY_ID, env.WABRIDGE_RPC_SECRET);
        const text = unique('said aloud');
        try {
            await bridge.result('configuration.test', { uid, configuration_id: account });
            await bridge.result('message.send', { uid, configuration_id: account, to, type: 'text', text: { body: text } });
            await messageIs(demo, text, ACCEPTED, 60);
            await bridge.post('{}', { authorization: 'WABRIDGE1-HMAC-SHA256 nonsense ' + env.WABRIDGE_RPC_SECRET });
            const answer = await fetch(loud.publicUrl + '/whatsapp/webhook/whapi/' + env.WHAPI_WEBHOOK_TOKEN, {
                method: 'POST', headers: { authorization: 'Bearer ' + env.WHAPI_WEBHOOK_SECRET }, body: '{"messages":[]}',
                signal: AbortSignal.timeout(10000),
            });
            assert.equal(answer.status, 200);
        } finally {
            await loud.stop();
            await startDaemon(demo);
        }
        const log = loud.log();
        assert.match(log, /\b(TRACE|DEBUG)\b/, 'it was not verbose');
        assert.deepEqual(named((form) => log.includes(form)), []);
        for (const [what, word] of [['the text of a message', text], ['a whole number', to.slice(1)]]) {
            const line = log.split('\n').find((candidate) => candidate.includes(word));
            assert.equal(line && line.slice(0, 300), undefined, what + ' is in the log');
        }
        return log.length + ' bytes';
    }, 240);

    await suite.check('no secret in any answer of Odoo or the daemon', async () => {
        const answers = [];
        const keep = async (promise) => answers.push(JSON.stringify(await promise.catch((error) => String(error.message))));
        await keep(demo.admin.call('whatsapp.configuration', 'search_read', [[]]));
        await keep(demo.user.call('whatsapp.configuration', 'search_read', [[]]));
        await keep(demo.admin.call('whatsapp.configuration', 'export_data', [[account], ['name', 'token', 'webhook_secret', 'webhook_token']]));
        await keep(demo.admin.call('whatsapp.audit.log', 'search_read', [[]], { limit: 500 }));
        await keep(demo.admin.call('ir.config_parameter', 'search_read', [[]]));
        for (const method of ['configuration.test', 'configuration.health', 'configuration.capabilities', 'configuration.register_webhook']) {
            await keep(demo.bridge.call(method, { uid, configuration_id: account }));
        }
        await keep(demo.bridge.call('rpc.discover', {}));
        await keep(demo.bridge.call('configuration.seal', { uid, seal_uuid: 'not-a-uuid', column: 'token', value: env.WHAPI_TOKEN }));
        await keep(demo.bridge.call('message.send', { uid, configuration_id: account, to: 'nobody', type: 'text', text: { body: 'x' } }));
        const all = answers.join('\n');
        // the address of the webhook holds its path token by design: register_webhook tells it to an administrator
        assert.deepEqual(named((form) => all.includes(form)).filter((name) => !/_WEBHOOK_TOKEN$/.test(name)), []);
        assert.ok(all.length > 1000, 'there were no answers');
        return answers.length + ' answers';
    });
};
