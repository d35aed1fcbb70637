// A real Prometheus with our example settings and our rules, at a demo's daemon.
'use strict';
const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { REPOSITORY, http } = require('./demo.js');
const { freePort } = require('./daemon.js');
const { until } = require('./suite.js');

const OWN = path.join(REPOSITORY, 'deploy/prometheus');

/** Every text of `changes` ([what, by what], regular expressions are global) has to be there. */
function changed(text, changes) {
    return changes.reduce((now, [what, by]) => {
        const then = now.replace(what, by);
        assert.notEqual(then, now, 'nothing is like ' + what);
        return then;
    }, text);
}

/**
 * The rules as they are, but quick: minutes of patience are seconds, rates look back 15 s, and what is late is late after
 * 3 s. The expressions stay what they are otherwise.
 */
function quick(rules) {
    const now = changed(rules, [
        [/^( *)(for|keep_firing_for): \d+m$/gm, '$1$2: 2s'],
        [/\[10m\]/g, '[15s]'],
        [/_seconds\) > 300$/gm, '_seconds) > 3'],
    ]);
    assert.doesNotMatch(now, /\d+m\b|> 300/, 'something of the rules is still slow');
    return now;
}

/** Starts Prometheus in `folder`; PROMETHEUS and PROMTOOL name its programs. */
async function prometheus(demo, folder) {
    for (const name of ['PROMETHEUS', 'PROMTOOL']) {
        if (!process.env[name]) {
            throw new Error(name + ' is not set: play this by tests/e2e/prometheus.sh');
        }
    }
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    const port = await freePort();
    const url = 'http://127.0.0.1:' + port;
    const token = path.join(path.dirname(demo.env.WABRIDGE_CONFIG), 'metrics.token');
    const settings = path.join(folder, 'prometheus.yml');
    const rules = path.join(folder, 'wabridge.rules.yml');
    fs.writeFileSync(rules, quick(fs.readFileSync(path.join(OWN, 'wabridge.rules.yml'), 'utf8')));
    fs.writeFileSync(settings, changed(fs.readFileSync(path.join(OWN, 'prometheus.example.yml'), 'utf8'), [
        [/_interval: 15s/g, '_interval: 1s'],
        ['scrape_timeout: 10s', 'scrape_timeout: 1s'],
        ['/etc/prometheus/wabridge.rules.yml', rules],
        ['/etc/prometheus/wabridge.token', token],
        ['127.0.0.1:8471', new URL(demo.env.WABRIDGE_PRIVATE_URL).host],
    ]));
    execFileSync(process.env.PROMTOOL, ['check', 'config', settings], { stdio: 'pipe' });
    const log = fs.openSync(path.join(folder, 'log'), 'w');
    const child = spawn(process.env.PROMETHEUS, ['--config.file=' + settings, '--web.listen-address=127.0.0.1:' + port,
        '--storage.tsdb.path=' + path.join(folder, 'data')], { stdio: ['ignore', log, log] });
    child.on('error', (error) => fs.writeSync(log, String(error)));
    process.once('exit', () => child.kill('SIGKILL'));

    /** `data` of an answer of its API; an error is thrown in its words. */
    async function ask(route, parameters = {}) {
        const answer = await http(url + '/api/v1/' + route + '?' + new URLSearchParams(parameters));
        if (!answer.json || answer.json.status !== 'success') {
            throw new Error(JSON.stringify(parameters) + ': ' + (answer.json ? answer.json.error : answer.status));
        }
        return answer.json.data;
    }

    const server = {
        url,
        ask,
        /** The series of an expression now: [{metric, value: [time, text]}]. */
        query: async (expression) => (await ask('query', { query: expression })).result,
        async firing(name, labels = {}) {
            const { alerts } = await ask('alerts');
            return alerts.find((alert) => alert.state === 'firing' && alert.labels.alertname === name &&
                Object.entries(labels).every(([label, value]) => alert.labels[label] === String(value)));
        },
        /** Waits until the alert fires for these labels; its annotations. */
        fires: (name, labels, seconds = 90) => until(name + ' fires for ' + JSON.stringify(labels || {}), async () => {
            const alert = await server.firing(name, labels);
            return alert && alert.annotations;
        }, seconds, 250),
        clears: (name, labels, seconds = 120) => until(name + ' is over for ' + JSON.stringify(labels || {}),
            async () => !await server.firing(name, labels), seconds, 250),
        async stop() {
            child.kill('SIGTERM');
            await until('Prometheus ends', () => child.exitCode !== null || child.signalCode !== null, 40);
            fs.closeSync(log);
        },
    };
    await until('Prometheus is ready', async () => {
        if (child.exitCode !== null) {
            throw new Error('it ended: ' + fs.readFileSync(path.join(folder, 'log'), 'utf8').slice(-400));
        }
        return (await http(url + '/-/ready', { limit: 2000 })).status === 200;
    }, 60, 200);
    return server;
}

module.exports = { prometheus };
