// Plays the checks and journeys on a running demo.
//
//   node run.js [checks | journeys | checks/webhook | ...]     nothing named: everything
//
//   DEMO_ENV     env file of the demo (target/demo/env)
//   SHOTS        folder for screenshots (target/e2e)
//   FULL         1: locks are held for 60 s and a campaign has 5,000 recipients, as the issue words it, not 20 s and 300
//   CHROMIUM     the browser (/usr/bin/chromium)
//
// Exit status 0 only when at least one check ran in every file and none failed.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { Demo, REPOSITORY } = require('./lib/demo.js');
const { Suite, Stop, within } = require('./lib/suite.js');

const FILE_LIMIT = 900; // seconds for one file; each wait inside has its own, shorter limit

function files(names) {
    const found = [];
    for (const name of names.length ? names : ['checks', 'journeys']) {
        const full = path.join(__dirname, name);
        if (fs.existsSync(full) && fs.statSync(full).isDirectory()) {
            found.push(...fs.readdirSync(full).filter((file) => file.endsWith('.js')).sort()
                .map((file) => path.join(full, file)));
        } else {
            found.push(require.resolve(full));
        }
    }
    return found;
}

/** @returns {boolean} whether the file ran at least one check and none failed */
async function play(file, demo, shots) {
    const name = path.relative(__dirname, file).replace(/\.js$/, '');
    console.log('\n== ' + name + ' on Odoo ' + await demo.series());
    const suite = new Suite();
    try {
        await within(name, FILE_LIMIT, require(file)(suite, demo, { shots }));
    } catch (error) {
        if (!(error instanceof Stop)) {
            await suite.check(name + ' runs to its end', () => Promise.reject(error));
            console.log(error.stack);
        }
    }
    if (!suite.results.length) {
        console.log('FAIL ' + name + ' made no check at all');
    }
    return { name, checks: suite.results.length, failed: suite.failed };
}

async function main() {
    const demo = new Demo(process.env.DEMO_ENV || path.join(REPOSITORY, 'target/demo/env'));
    const shots = path.resolve(process.env.SHOTS || path.join(REPOSITORY, 'target/e2e'));
    fs.mkdirSync(shots, { recursive: true });
    const played = [];
    try {
        for (const file of files(process.argv.slice(2))) {
            played.push(await play(file, demo, shots));
        }
    } finally {
        await demo.close();
    }
    const checks = played.reduce((sum, file) => sum + file.checks, 0);
    const failed = played.flatMap((file) => file.failed.map(({ name }) => file.name + ': ' + name));
    const empty = played.filter((file) => !file.checks).map((file) => file.name);
    console.log('\n' + checks + ' checks in ' + played.length + ' files, ' + failed.length + ' failed');
    failed.forEach((line) => console.log('  ' + line));
    return checks > 0 && !failed.length && !empty.length;
}

main().then((good) => process.exit(good ? 0 : 1), (error) => {
    console.error(error.message);
    process.exit(1);
});
