// Makes the pictures of the documentation: a made-up company on a demo, whose screens are photographed.
//
//   node pictures.js [NAME...]     nothing named: every picture of this series that a document shows
//
//   DEMO_ENV   env file of the demo (target/demo/env): a new one of its own, since lists show all there is
//   PICTURES   where they go (docs/images), as <series>-<name>.png
//   CHROMIUM   the browser (/usr/bin/chromium)
//
// Exit status 0 only when each wanted picture was made.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Demo, REPOSITORY } = require('./lib/demo.js');
const { open } = require('./lib/browser.js');
const { within } = require('./lib/suite.js');
const { scenery } = require('./pictures/scenery.js');
const { studio } = require('./pictures/studio.js');

const DESCRIPTION = path.join(REPOSITORY, 'odoo_addon/whatsapp_integration/static/description');
const SCENE_LIMIT = 240; // s
// Pictures of 19 that the addon's own page shows too, by the name there.
const PAGE = { inbox: 'inbox', 'campaign-draft': 'campaign', 'group-create-result': 'group', 'dashboard-account': 'figures' };
const SCENES = ['user', 'campaigns', 'groups', 'sync', 'administrator', 'figures'];

/** The banner of the addon's own page, as Odoo's app store wants it: 560 x 280. */
async function banner({ page }) {
    const icon = fs.readFileSync(path.join(DESCRIPTION, 'icon.png')).toString('base64');
    await page.goto('about:blank');
    await page.setViewportSize({ width: 560, height: 280 });
    await page.setContent('<body style="margin:0;height:280px;display:flex;align-items:center;gap:28px;padding:0 40px;box-sizing:border-box;' +
        'background:linear-gradient(120deg,#0f3d2e,#1fa855);color:#fff;font-family:sans-serif"><img width="112" height="112" src="data:image/png;base64,' + icon +
        '"><div><div style="font-size:34px;font-weight:700">WhatsApp in Odoo</div><div style="font-size:17px;line-height:1.5;margin-top:10px">' +
        'Inbox, documents, campaigns, groups<br>Odoo 14 and 19</div></div>');
    await page.screenshot({ path: path.join(DESCRIPTION, 'banner.png') });
    await page.setViewportSize({ width: 1280, height: 720 });
}

/** The names of the pictures of a series that the documents show. */
function shown(series) {
    const documents = ['README.md', ...['docs', 'docs/guide'].flatMap((folder) => fs.readdirSync(path.join(REPOSITORY, folder))
        .filter((name) => name.endsWith('.md')).map((name) => folder + '/' + name))];
    const names = new Set();
    for (const document of documents) {
        const text = fs.readFileSync(path.join(REPOSITORY, document), 'utf8');
        for (const [, of, name] of text.matchAll(/images\/(\d+)-([a-z0-9-]+)\.png/g)) {
            if (Number(of) === series) {
                names.add(name);
            }
        }
    }
    return names;
}

async function main() {
    const demo = new Demo(process.env.DEMO_ENV || path.join(REPOSITORY, 'target/demo/env'));
    const series = await demo.series();
    const wanted = process.argv.length > 2 ? new Set(process.argv.slice(2)) : shown(series);
    const folder = path.resolve(process.env.PICTURES || path.join(REPOSITORY, 'docs/images'));
    const shots = fs.mkdtempSync(path.join(os.tmpdir(), 'wabridge-pictures-'));
    const failed = [];
    const made = new Set();
    const people = [];
    try {
        const world = await within('the scenery', SCENE_LIMIT, scenery(demo));
        for (const [login, password] of [[demo.env.ODOO_USER_LOGIN, demo.env.ODOO_USER_PASSWORD], [demo.env.ODOO_LOGIN, demo.env.ODOO_PASSWORD]]) {
            const person = await open({ series, url: demo.env.ODOO_URL, shots });
            people.push(person);
            await person.login(login, password);
        }
        const [user, boss] = people.map((person) => studio(person, (name, file) => {
            if (wanted.has(name)) {
                fs.mkdirSync(folder, { recursive: true });
                fs.copyFileSync(file, path.join(folder, series + '-' + name + '.png'));
                made.add(name);
                if (series === 19 && PAGE[name]) {
                    fs.copyFileSync(file, path.join(DESCRIPTION, PAGE[name] + '.png'));
                }
                console.log('     ' + series + '-' + name + '.png  ' + Math.round(fs.statSync(file).size / 1024) + ' KiB');
            }
        }, shots, demo.env.ODOO_URL));
        for (const scene of SCENES.flatMap((name) => require('./pictures/' + name + '.js'))) {
            if (!scene.names.some((name) => wanted.has(name))) {
                continue;
            }
            console.log(scene.names.join(', '));
            const stage = { demo, series, world, user, boss };
            await within(scene.names.join(', '), SCENE_LIMIT, scene.play(stage)).catch(async (error) => {
                failed.push(scene.names.join(', '));
                console.log('FAIL ' + error.message.split('\n').slice(0, 6).join('\n     '));
                for (const [at, person] of people.entries()) {
                    await person.page.screenshot({ path: path.join(shots, 'failed-' + scene.names[0] + '-' + at + '.png') }).catch(() => undefined);
                }
                console.log('     what the browsers showed: ' + shots + '/failed-' + scene.names[0] + '-*.png');
            });
        }
        if (series === 19 && process.argv.length === 2) {
            await banner(people[0]);
        }
    } finally {
        for (const person of people) {
            await person.close();
        }
        await demo.close();
    }
    const missing = [...wanted].filter((name) => !made.has(name));
    console.log('\n' + made.size + ' pictures' + (missing.length ? '; not made: ' + missing.join(', ') : ''));
    return !failed.length && !missing.length;
}

main().then((good) => process.exit(good ? 0 : 1), (error) => {
    console.error(error.stack);
    process.exit(1);
});
