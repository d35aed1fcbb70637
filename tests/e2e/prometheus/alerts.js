// A real Prometheus at the demo: what dashboards and rules name is there, panels are answered, and each alert fires by a
// fault of the simulator or the database and is over after it. Accounts of its own, one for each fault.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { REPOSITORY, http } = require('../lib/demo.js');
const { runBinary, startDaemon, stopDaemon } = require('../lib/daemon.js');
const { prometheus } = require('../lib/prometheus.js');
const { until, sleep } = require('../lib/suite.js');
const { person, unique } = require('../lib/scene.js');

const SLOW = 6500; // ms, an answer that is slow by any rule
const KNOWN = 90; // s until the daemon has seen what was changed in Odoo
const RULES = path.join(REPOSITORY, 'deploy/prometheus/wabridge.rules.yml');
const BOARDS = path.join(REPOSITORY, 'deploy/grafana');

const boards = () => fs.readdirSync(BOARDS).filter((name) => name.endsWith('.json'))
    .map((name) => ({ name, board: JSON.parse(fs.readFileSync(path.join(BOARDS, name), 'utf8')) }));
const panels = () => boards().flatMap(({ name, board }) => board.panels.flatMap((panel) => (panel.targets || [])
    .map((target) => ({ where: name + ', ' + panel.title, expression: target.expr }))));
/** What Grafana makes of an expression when everything is chosen. */
const filled = (expression) => expression.replace(/\$__rate_interval/g, '5m').replace(/\$(database|account)\b/g, '.*');
const named = (text) => text.match(/\b(?:wabridge|process)_\w+|\bALERTS\b|\bup\b/g) || [];

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD', 'SIMULATOR_URL', 'WABRIDGE_PRIVATE_URL', 'WABRIDGE_CONFIG', 'WHAPI_CONFIGURATION_ID', 'WHAPI_TOKEN');
    const { admin, bridge, db, env, simulator } = demo;
    const database = env.ODOO_DB;
    const uid = await admin.uid();
    const base = await db.value('SELECT base_url FROM whatsapp_configuration WHERE id = $1', [Number(env.WHAPI_CONFIGURATION_ID)]);
    const made = [];
    const proof = new Map(); // alerts that fired and were over
    let server;

    /** An account that nobody else uses. */
    async function account(name, values = {}) {
        const token = crypto.randomBytes(20).toString('hex');
        const channel = 'ALERT-' + crypto.randomBytes(4).toString('hex').toUpperCase();
        await simulator.control('POST', '/state', { accounts: [{ provider: 'whapi', token, channel_id: channel, phone: person().slice(1), name }] });
        const id = [].concat(await admin.call('whatsapp.configuration', 'create',
            [{ name, provider: 'whapi', channel_id: channel, base_url: base, pace_per_second: 50, failure_burst: 0, ...values }]))[0];
        made.push(id);
        const wizard = [].concat(await admin.call('whatsapp.set.credentials.wizard', 'create', [{ configuration_id: id, token }]))[0];
        await admin.call('whatsapp.set.credentials.wizard', 'action_apply', [[wizard]]);
        const one = {
            id,
            labels: { database, account: id, provider: 'whapi' },
            fault: (fault) => simulator.fault({ provider: 'whapi', token, ...fault }),
            becomes: (state) => simulator.control('POST', '/state', { accounts: [{ provider: 'whapi', token, state }] }),
            test: () => bridge.call('configuration.test', { uid, configuration_id: id }),
            send: () => bridge.result('message.send', { uid, configuration_id: id, to: person(), type: 'text', text: { body: unique('alert') } }),
        };
        await until('the daemon knows account ' + id, async () => {
            const { result } = await one.test();
            return result && result.data.state === 'connected';
        }, KNOWN, 300);
        return one;
    }

    /** Somebody writes to the demo's own account, whose webhook is registered. */
    const arrives = (text) => simulator.inbound({ provider: 'whapi', token: env.WHAPI_TOKEN, from: person().slice(1), text });

    /** Others can read the table, and no more. */
    async function locked(table, body) {
        const holder = db.another();
        try {
            await holder.rows('BEGIN');
            await holder.rows('LOCK TABLE ' + table + ' IN EXCLUSIVE MODE');
            await body();
        } finally {
            await holder.rows('ROLLBACK');
            await holder.close();
        }
    }

    const fires = async (name, labels) => {
        const annotations = await server.fires(name, labels);
        for (const word of ['summary', 'description', 'runbook_url']) {
            assert.match(annotations[word], /\w/);
            assert.doesNotMatch(annotations[word], /no value|\{\{|%!/, name + ': ' + annotations[word]);
        }
        proof.set(name, 'fired');
        return annotations.summary;
    };
    const clears = async (name, labels) => {
        await server.clears(name, labels);
        assert.equal(proof.get(name), 'fired');
        proof.set(name, 'over');
    };
    const all = (list) => Promise.all(list.map(([name, labels]) => fires(name, labels)));
    const over = (list) => Promise.all(list.map(([name, labels]) => clears(name, labels)));
    const ofDatabase = { database };

    /** A run of synchronisation, to its end. */
    async function synchronise({ id }) {
        // One of its schedule may be under way.
        const { data } = await until('a run begins', async () => {
            const { result, error } = await bridge.call('sync.start', { uid, configuration_id: id, kinds: ['contacts'], mode: 'full' });
            if (error) {
                throw new Error(error.message);
            }
            return result;
        }, 60, 500);
        return until('run ' + data.job_id + ' ends', async () => {
            const state = await db.value('SELECT state FROM whatsapp_sync_run WHERE id = $1', [data.job_id]);
            return ['done', 'failed'].includes(state) && state;
        }, 60, 200);
    }

    try {
        await simulator.noFaults();
        // What other checks left there would keep its alert from being over.
        await db.rows("DELETE FROM wabridge.journal_pending WHERE state = 'quarantined'");

        await suite.step('Prometheus scrapes the daemon with the example settings', async () => {
            server = await prometheus(demo, path.join(shots, 'prometheus'));
            await until('the daemon is up', async () => (await server.query('up{job="wabridge"} == 1')).length === 1, 60, 250);
            const [build] = await until('its version', async () => {
                const found = await server.query('wabridge_build_info');
                return found.length && found;
            }, 30, 250);
            return 'version ' + build.metric.version;
        });

        await suite.check('promtool has no word against the page; every metric of the documentation has its head', async () => {
            const token = fs.readFileSync(path.join(path.dirname(env.WABRIDGE_CONFIG), 'metrics.token'), 'utf8').trim();
            const page = await http(env.WABRIDGE_PRIVATE_URL + '/metrics', { headers: { authorization: 'Bearer ' + token } });
            assert.equal(page.status, 200);
            const said = execFileSync(process.env.PROMTOOL, ['check', 'metrics'], { input: page.text, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
            assert.equal(said, '');
            const text = fs.readFileSync(path.join(REPOSITORY, 'docs/OPERATIONS.md'), 'utf8');
            const rows = [...text.matchAll(/^\| `((?:wabridge|process)_\w+)`[ *]*\| (counter|gauge|histogram) \|/gm)];
            assert.ok(rows.length > 50, 'the table has ' + rows.length + ' rows');
            for (const [, name, type] of rows) {
                assert.match(page.text, new RegExp('^# HELP ' + name + ' \\w', 'm'));
                assert.match(page.text, new RegExp('^# TYPE ' + name + ' ' + type + '$', 'm'));
            }
            return rows.length + ' metrics';
        });

        let dead, down, failing, slow, waiting, limited;
        await suite.step('six accounts', async () => {
            [dead, down, failing, slow, waiting, limited] = [await account('Dead token'), await account('Phone away'), await account('Refused'),
                await account('Slow'), await account('Held up'), await account('Nearly used up', { daily_limit: 1 })];
        }, 200);

        const simulated = [
            ['WabridgeTokenDead', dead && dead.labels], ['WabridgeSyncFailing', dead && dead.labels],
            ['WabridgeAccountDisconnected', { ...down.labels, state: 'disconnected' }],
            ['WabridgeSendErrors', failing.labels], ['WabridgeProviderErrors', { database, provider: 'whapi' }],
            ['WabridgeProviderSlow', { database, provider: 'whapi', operation: 'health' }],
            ['WabridgeCallsSlow', { database, method: 'configuration.test' }],
            ['WabridgeQuotaNear', limited.labels],
        ];
        await suite.step('nothing of that fires yet', async () => {
            await sleep(3000);
            for (const [name, labels] of simulated) {
                assert.equal(await server.firing(name, labels), undefined, name);
            }
        });
        let stop = false;
        const late = async () => {
            while (!stop) {
                await Promise.all([1, 2, 3].map(() => slow.test()));
            }
        };
        let lateOnes;
        await suite.check('faults of the provider: ' + simulated.map(([name]) => name).join(', '), async () => {
            await slow.fault({ operation: 'health', delay_ms: SLOW });
            lateOnes = late();
            await dead.becomes('token_dead');
            await dead.test();
            await down.becomes('disconnected');
            await down.test();
            await failing.fault({ operation: 'message.send', status: 400 });
            await failing.fault({ operation: 'health', status: 500 });
            await Promise.all(Array.from({ length: 12 }, () => failing.send()));
            await Promise.all(Array.from({ length: 12 }, () => failing.test()));
            await limited.send();
            const fired = all(simulated.slice(2));
            assert.deepEqual([await synchronise(dead), await synchronise(dead)], ['failed', 'failed']);
            await all(simulated.slice(0, 2));
            await fired;
        }, 200);
        stop = true;
        await lateOnes;
        await simulator.noFaults();
        for (const one of [dead, down]) {
            await one.becomes('connected');
            await one.test();
        }
        await admin.call('whatsapp.configuration', 'write', [[limited.id], { daily_limit: 0 }]);
        const healed = (async () => {
            assert.equal(await synchronise(dead), 'done');
            await over(simulated);
        })();
        healed.catch(() => undefined); // it is looked at below

        await suite.check('nobody may send in the database: WabridgeQueueLag', async () => {
            const labels = waiting.labels;
            await locked('wabridge.account_pace', async () => {
                await waiting.send();
                await fires('WabridgeQueueLag', labels);
            });
            await clears('WabridgeQueueLag', labels);
        }, 240);

        await suite.check('events cannot be applied: WabridgeJournalLag', async () => {
            await locked('whatsapp_message', async () => {
                await arrives(unique('late'));
                await fires('WabridgeJournalLag', ofDatabase);
            });
            await clears('WabridgeJournalLag', ofDatabase);
        }, 240);

        await suite.check('a rule of the database refuses an event: WabridgeQuarantine', async () => {
            const poison = unique('poison');
            await db.rows("ALTER TABLE whatsapp_message ADD CONSTRAINT e2e_poison CHECK (content <> '" + poison + "') NOT VALID");
            try {
                await arrives(poison);
                await fires('WabridgeQuarantine', ofDatabase);
            } finally {
                await db.rows('ALTER TABLE whatsapp_message DROP CONSTRAINT e2e_poison');
            }
            await runBinary(demo, ['journal', '--config', env.WABRIDGE_CONFIG, 'replay', '--quarantined']);
            await clears('WabridgeQuarantine', ofDatabase);
        }, 240);

        await suite.check('the addon\'s tables do not fit: WabridgeDatabaseNotReady', async () => {
            await db.rows('ALTER TABLE whatsapp_event RENAME COLUMN phase TO phase_away');
            try {
                await fires('WabridgeDatabaseNotReady', ofDatabase);
            } finally {
                await db.rows('ALTER TABLE whatsapp_event RENAME COLUMN phase_away TO phase');
            }
            await clears('WabridgeDatabaseNotReady', ofDatabase);
        }, 240);

        await suite.check('after the faults of the provider: all of that is over', () => healed, 240);

        await suite.check('the daemon is away: WabridgeDown', async () => {
            await stopDaemon(demo);
            try {
                await fires('WabridgeDown', { job: 'wabridge' });
            } finally {
                await startDaemon(demo);
            }
            await clears('WabridgeDown', { job: 'wabridge' });
        }, 240);

        await suite.check('every alert of the rules fired and was over', async () => {
            const rules = [...fs.readFileSync(RULES, 'utf8').matchAll(/^ *- alert: (\w+)$/gm)].map(([, name]) => name);
            assert.ok(rules.length > 10);
            assert.deepEqual(rules.filter((name) => proof.get(name) !== 'over'), []);
            return rules.length + ' alerts';
        });

        await suite.check('every metric that rules and dashboards name is there', async () => {
            const names = new Set([...panels().flatMap(({ expression }) => named(expression)),
                ...boards().flatMap(({ board }) => board.templating.list.flatMap(({ definition }) => named(definition || ''))),
                ...named(fs.readFileSync(RULES, 'utf8').replace(/^#.*$/gm, ''))]);
            const start = String(Date.now() / 1000 - 3600);
            const missing = [];
            for (const name of names) {
                if (!(await server.ask('series', { 'match[]': name, start })).length) {
                    missing.push(name);
                }
            }
            assert.deepEqual(missing, []);
            assert.ok(names.size > 50, [...names].join(' '));
            return names.size + ' names';
        });

        await suite.check('dashboards are whole: their variables, one source, panels that neither share an id nor a place', async () => {
            for (const { name, board } of boards()) {
                const variables = board.templating.list.map((variable) => variable.name);
                assert.deepEqual(variables.slice(0, 2), ['datasource', 'database'], name);
                const places = new Set();
                for (const panel of board.panels) {
                    const { x, y, w, h } = panel.gridPos;
                    assert.ok(x + w <= 24 && w > 0 && h > 0, name + ': ' + panel.title);
                    for (let cell = 0; cell < w * h; cell++) {
                        const place = (x + cell % w) + ' ' + (y + Math.floor(cell / w));
                        assert.ok(!places.has(place), name + ': ' + panel.title + ' lies on another');
                        places.add(place);
                    }
                    for (const one of [panel, ...(panel.targets || [])].filter(({ type }) => type !== 'row')) {
                        assert.equal(one.datasource.uid, '${datasource}', name + ': ' + panel.title);
                    }
                }
                assert.equal(new Set(board.panels.map(({ id }) => id)).size, board.panels.length, name);
            }
        });

        await suite.check('every panel and every variable is answered', async () => {
            let answered = 0;
            for (const { where, expression } of panels()) {
                const query = filled(expression);
                assert.ok(!query.includes('$'), where + ': ' + query);
                try {
                    answered += (await server.query(query)).length > 0 ? 1 : 0;
                } catch (error) {
                    throw new Error(where + ': ' + error.message);
                }
            }
            for (const { name, board } of boards()) {
                for (const variable of board.templating.list.filter(({ type }) => type === 'query')) {
                    const [, metric, label] = /^label_values\((.+), (\w+)\)$/.exec(variable.definition);
                    const values = await server.ask('label/' + label + '/values', { 'match[]': filled(metric) });
                    assert.ok(values.length, name + ': ' + variable.name + ' has no values');
                }
            }
            assert.ok(answered > panels().length / 2, 'most panels are empty: ' + answered + ' of ' + panels().length + ' are not');
            return panels().length + ' queries, ' + answered + ' with series';
        });
    } finally {
        await simulator.noFaults();
        if (made.length) {
            await admin.call('whatsapp.configuration', 'write', [made, { active: false }]);
        }
        if (server) {
            await server.stop();
        }
    }
};
