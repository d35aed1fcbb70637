// The daemon as a process: the demo's own, and others beside it.
'use strict';
const { execFile, spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { promisify } = require('node:util');
const { REPOSITORY, http } = require('./demo.js');
const { until } = require('./suite.js');

const run = promisify(execFile);

/** A loopback port that is free now. */
const freePort = () => new Promise((done, refuse) => {
    const server = net.createServer().on('error', refuse);
    server.listen(0, '127.0.0.1', () => {
        const { port } = server.address();
        server.close(() => done(port));
    });
});

const ready = async (privateUrl) => (await http(privateUrl + '/health/ready', { limit: 5000 })).status === 200;

/**
 * Starts `wabridge serve` with the demo's settings and waits until it is ready: on ports of its own, or `inPlace` of
 * the demo's daemon, which was stopped before.
 * `settings` are more WABRIDGE__… variables, `config` another settings file.
 */
async function secondDaemon(demo, { settings = {}, config = demo.env.WABRIDGE_CONFIG, wait = true, inPlace = false } = {}) {
    demo.need('WABRIDGE_BIN', 'WABRIDGE_CONFIG', 'WABRIDGE_PUBLIC_URL', 'WABRIDGE_PRIVATE_URL');
    const publicPort = inPlace ? new URL(demo.env.WABRIDGE_PUBLIC_URL).port : await freePort();
    const privatePort = inPlace ? new URL(demo.env.WABRIDGE_PRIVATE_URL).port : await freePort();
    const child = spawn(demo.env.WABRIDGE_BIN, ['serve', '--config', config], {
        env: {
            ...process.env,
            WABRIDGE__PUBLIC__LISTEN: '127.0.0.1:' + publicPort,
            WABRIDGE__PRIVATE__LISTEN: '127.0.0.1:' + privatePort,
            ...settings,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = [];
    child.stdout.on('data', (bytes) => log.push(bytes));
    child.stderr.on('data', (bytes) => log.push(bytes));
    const ended = new Promise((done) => {
        child.on('error', (error) => { log.push(Buffer.from(String(error))); done(1); });
        child.on('exit', (code, signal) => done(signal || code));
    });
    const daemon = {
        pid: child.pid,
        publicUrl: 'http://127.0.0.1:' + publicPort,
        privateUrl: 'http://127.0.0.1:' + privatePort,
        log: () => Buffer.concat(log).toString('utf8'),
        ended,
        async stop() {
            child.kill('SIGTERM');
            await until('daemon ' + child.pid + ' ends', () => child.exitCode !== null || child.signalCode !== null, 40);
            return ended;
        },
    };
    if (wait) {
        try {
            await until('a second daemon is ready', () => {
                if (child.exitCode !== null) {
                    throw new Error('it ended with ' + child.exitCode + ': ' + daemon.log().slice(-400));
                }
                return ready(daemon.privateUrl);
            }, 40, 200);
        } catch (error) {
            child.kill('SIGKILL');
            throw error;
        }
    }
    return daemon;
}

/** A command of the binary; throws with its words when it fails. */
async function runBinary(demo, args) {
    try {
        return await run(demo.env.WABRIDGE_BIN, args, { timeout: 60000 });
    } catch (error) {
        throw new Error('wabridge ' + args.join(' ') + ': ' + (error.stderr || error.stdout || error.message));
    }
}

/** `deploy/demo.sh stop|start` of one process of the demo of this env file. */
async function demoScript(demo, verb, service = 'daemon') {
    await run('bash', [path.join(REPOSITORY, 'deploy/demo.sh'), verb, service], {
        cwd: REPOSITORY, timeout: 180000, env: { ...process.env, DEMO_ENV: demo.file },
    });
}

/** Ends the demo's Odoo as a power cut does; what its transactions had not committed is gone. */
async function killOdoo(demo) {
    const file = path.join(path.dirname(demo.file), 'run', 'odoo.pid');
    const pid = Number(fs.readFileSync(file, 'utf8').split(' ')[0]);
    process.kill(pid, 'SIGKILL');
    await until('Odoo is gone', async () => {
        try {
            await http(demo.env.ODOO_URL + '/web/login', { limit: 2000 });
            return false;
        } catch {
            return true;
        }
    }, 40, 100);
}

/** Starts the demo's Odoo again and waits until it answers. */
const startOdoo = (demo) => demoScript(demo, 'start', 'odoo');

async function stopDaemon(demo) {
    await demoScript(demo, 'stop');
    await until('the daemon is gone', async () => {
        try {
            await http(demo.env.WABRIDGE_PRIVATE_URL + '/health/live', { limit: 2000 });
            return false;
        } catch {
            return true;
        }
    }, 40, 200);
}

async function startDaemon(demo) {
    await demoScript(demo, 'start');
    await until('the daemon is ready', () => ready(demo.env.WABRIDGE_PRIVATE_URL), 60, 200);
}

/** The log files of the demo's daemon. */
function daemonLogs(demo) {
    const folder = path.join(path.dirname(demo.file), 'log');
    return fs.readdirSync(folder).filter((name) => /daemon|wabridge/.test(name)).map((name) => path.join(folder, name));
}

module.exports = { freePort, demoScript, secondDaemon, runBinary, stopDaemon, startDaemon, killOdoo, startOdoo, daemonLogs, ready };
