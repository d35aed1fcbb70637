// The daemon in a database that belongs to Odoo: locks, upgrades, copies.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { http } = require('../lib/demo.js');
const { secondDaemon, startDaemon, stopDaemon, runBinary } = require('../lib/daemon.js');
const { sleep, until } = require('../lib/suite.js');
const { unique, person, serverAction, doorB, messageIs, ACCEPTED } = require('../lib/scene.js');

const HOLD = process.env.FULL === '1' ? 60 : 20; // seconds a lock is held
const PACE = 500; // ms between two webhooks while it is held

module.exports = async (suite, demo) => {
    demo.need('WABRIDGE_PUBLIC_URL', 'WABRIDGE_CONFIG', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID', 'WHAPI_CHANNEL_ID');
    const { db, env, simulator } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);

    /** A WHAPI text webhook from `from`; the answer must be 200. Returns the provider's id. */
    const inbound = async (from, name = 'E2E Guest') => {
        const id = 'Q' + crypto.randomBytes(10).toString('hex') + '-g' + crypto.randomBytes(6).toString('hex');
        const answer = await demo.whapi({
            messages: [{ id, from_me: false, type: 'text', chat_id: from + '@s.whatsapp.net', source: 'mobile',
                timestamp: Math.floor(Date.now() / 1000), text: { body: unique('guest') }, from, from_name: name }],
            event: { type: 'messages', event: 'post' }, channel_id: env.WHAPI_CHANNEL_ID,
        });
        assert.equal(answer.status, 200, answer.text);
        return id;
    };
    const applied = (ids, seconds = 90) => until(ids.length + ' webhooks applied', async () => {
        const there = await db.value('SELECT count(*) FROM whatsapp_message WHERE message_id = ANY ($1)', [ids]);
        if (there !== ids.length) {
            throw new Error(there + ' are');
        }
        return true;
    }, seconds, 500);
    /** Webhooks from `people` in turn until `over()`; all ids. */
    const load = async (people, over, look = async () => undefined) => {
        const ids = [];
        for (let i = 0; !over(); i++) {
            // a new name each time, so that the contact's row has to be written
            ids.push(await inbound(people[i % people.length], 'E2E Guest ' + i));
            await look();
            await sleep(PACE);
        }
        return ids;
    };

    const held = person().slice(1);
    const free = person().slice(1);
    await suite.step('two people write', async () => {
        await applied([await inbound(held), await inbound(free)]);
    });

    await suite.check('Odoo holds a contact row for ' + HOLD + ' s: 200s go on, everything is applied afterwards', async () => {
        const contact = await db.value('SELECT id FROM whatsapp_contact WHERE configuration_id = $1 AND contact_id LIKE $2', [account, held + '%']);
        let over = false;
        const odoo = serverAction(demo, 'env.cr.execute("UPDATE whatsapp_contact SET name = name WHERE id = ' + contact + '")\n' +
            'env.cr.execute("SELECT pg_sleep(' + HOLD + ')")', (HOLD + 60) * 1000).finally(() => { over = true; });
        odoo.catch(() => undefined); // awaited below
        const rowFree = () => db.value('SELECT count(*) FROM (SELECT id FROM whatsapp_contact WHERE id = $1 FOR UPDATE SKIP LOCKED) free', [contact]);
        await until('Odoo holds the row', async () => await rowFree() === 0);
        // a new name in the contact's row cannot be written before Odoo lets go of it
        const named = () => db.value('SELECT pushname FROM whatsapp_contact WHERE id = $1', [contact]);
        const before = await named();
        const meanwhile = new Set();
        // Not up to the very end: right after Odoo it is the daemon that holds the row.
        const heldUntil = Date.now() + (HOLD - 3) * 1000;
        const ids = await load([held, free], () => over, async () => {
            const name = await named();
            if (await rowFree() === 0 && Date.now() < heldUntil) {
                meanwhile.add(name);
            }
        });
        await odoo;
        assert.deepEqual([...meanwhile], [before], 'the row was not locked, so this proves nothing');
        await applied(ids);
        await until('the newest name on the contact', async () => await named() !== before, 30);
        return ids.length + ' webhooks';
    }, HOLD + 200);

    await suite.check('LOCK TABLE whatsapp_message for ' + HOLD + ' s: 200s go on, everything is applied afterwards', async () => {
        const holder = db.another();
        try {
            await holder.rows('BEGIN');
            await holder.rows('LOCK TABLE whatsapp_message IN ACCESS EXCLUSIVE MODE');
            const end = Date.now() + HOLD * 1000;
            const ids = await load([held, free], () => Date.now() > end);
            const early = await holder.value('SELECT count(*) FROM whatsapp_message WHERE message_id = ANY ($1)', [ids]);
            assert.equal(early, 0, 'the lock held nobody up, so this proves nothing');
            await holder.rows('COMMIT');
            await applied(ids);
            return ids.length + ' webhooks';
        } finally {
            await holder.close();
        }
    }, HOLD + 200);

    await suite.check('the addon is upgraded and a column is added under load: 200s go on, everything is applied', async () => {
        const module = await db.value("SELECT id FROM ir_module_module WHERE name = 'whatsapp_integration'");
        let over = false;
        const upgrade = (async () => {
            await db.rows('ALTER TABLE whatsapp_message ADD COLUMN IF NOT EXISTS x_e2e_added varchar');
            await db.rows('ALTER TABLE whatsapp_contact ADD COLUMN IF NOT EXISTS x_e2e_added varchar');
            await demo.admin.call('ir.module.module', 'button_immediate_upgrade', [[module]], {}, 240000);
        })().finally(() => { over = true; });
        upgrade.catch(() => undefined); // awaited below
        const ids = await load([held, free], () => over);
        await upgrade;
        ids.push(await inbound(held), await inbound(free));
        await applied(ids);
        await db.rows('ALTER TABLE whatsapp_message DROP COLUMN x_e2e_added');
        await db.rows('ALTER TABLE whatsapp_contact DROP COLUMN x_e2e_added');
        await applied([await inbound(held)]);
        return ids.length + ' webhooks';
    }, 400);

    // ------------------------------------------------------------ Odoo's own database manager
    const master = env.ODOO_MASTER_PASSWORD || 'admin';
    const copy = env.ODOO_DB + '_copy';
    const restored = env.ODOO_DB + '_restored';
    const cluster = db.another('postgres');
    const exists = async (name) => await cluster.value('SELECT count(*) FROM pg_database WHERE datname = $1', [name]) === 1;
    const manager = async (action, fields, limit = 240000) => {
        const form = new FormData();
        form.set('master_pwd', master);
        Object.entries(fields).forEach(([name, value]) => form.set(name, value));
        const answer = await http(env.ODOO_URL + '/web/database/' + action, { method: 'POST', body: form, limit });
        // a failure is answered 200 with the page that names it
        const trouble = /alert alert-danger[^>]*>([^<]*)/.exec(answer.text);
        if (trouble && /html/.test(answer.headers.get('content-type') || '')) {
            throw new Error(action + ': ' + trouble[1].trim());
        }
        // 19 has duplicated when it answers 500: it cut its own request's cursor too, and then wants to save the session
        const cut = action === 'duplicate' && answer.status === 500 && await demo.series() >= 19;
        assert.ok(answer.status < 400 || cut, action + ' answered ' + answer.status);
        return answer;
    };
    // Odoo ends the sessions, then copies: one that comes back between the two, of Odoo's own requests too, makes
    // it refuse, and the person tries again.
    const duplicate = async (name, tries = 3) => {
        try {
            await manager('duplicate', { name: env.ODOO_DB, new_name: name });
        } catch (error) {
            if (tries === 1 || !/being accessed by other users/.test(error.message)) { throw error; }
            await sleep(3000);
            await duplicate(name, tries - 1);
        }
    };
    const drop = async (name) => {
        await manager('drop', { name });
        await until(name + ' is gone', async () => !await exists(name), 20);
    };
    for (const name of [copy, restored]) { // of a run that was cut off
        if (await exists(name)) {
            await drop(name);
        }
    }

    let away = null;
    await suite.step('duplicate with the daemon running; afterwards it goes on', async () => {
        // a message that waits in both databases: the daemon is stopped while it is committed
        away = { to: person(), text: unique('waits in both databases'), mark: await simulator.mark() };
        await stopDaemon(demo);
        try {
            await serverAction(demo, doorB(away.to, away.text));
            await db.close();
            await duplicate(copy);
        } finally {
            await startDaemon(demo);
        }
        await messageIs(demo, away.text, ACCEPTED, 60);
        await db.close();
        await duplicate(restored);
        assert.ok(await exists(copy) && await exists(restored));
        // duplicating cuts every connection to the source
        const id = await until('a webhook is taken again', () => inbound(held).catch((error) => {
            if (/ 503 |not strictly|503/.test(error.message)) { return null; }
            throw error;
        }), 30, 500);
        await applied([id]);
    }, 300);

    await suite.check('the copy sends nothing until it is adopted', async () => {
        const config = copiedConfig(env.WABRIDGE_CONFIG, env.ODOO_DB, copy);
        const other = await secondDaemon(demo, { config, wait: false });
        try {
            await until('the copy\'s daemon says that it holds', () => /held|hold/i.test(other.log()), 40, 200);
            await sleep(5000); // longer than any poll
            assert.equal((await simulator.texts(away.mark, away.text)).length, 1, 'sent by the original alone');
            const twin = db.another(copy);
            assert.equal(await twin.value('SELECT status FROM whatsapp_message WHERE content = $1', [away.text]), 'queued');
            await runBinary(demo, ['adopt', copy, '--config', config]);
            await until('the adopted copy sends', async () => (await simulator.texts(away.mark, away.text)).length === 2, 40, 200);
            await twin.close();
        } finally {
            await other.stop();
            fs.rmSync(path.dirname(config), { recursive: true });
        }
    }, 200);

    await suite.check('drop of a database with a daemon on it', async () => {
        const config = copiedConfig(env.WABRIDGE_CONFIG, env.ODOO_DB, copy);
        const other = await secondDaemon(demo, { config });
        try {
            await drop(copy);
        } finally {
            await other.stop();
            fs.rmSync(path.dirname(config), { recursive: true });
        }
    }, 120);

    let archive = null;
    await suite.check('backup with the daemon running', async () => {
        await drop(restored);
        const answer = await manager('backup', { name: env.ODOO_DB, backup_format: 'zip' });
        assert.equal(answer.bytes.subarray(0, 2).toString(), 'PK', 'no archive: ' + answer.text.slice(0, 200));
        archive = answer.bytes;
        return Math.round(archive.length / 1024) + ' kB';
    }, 300);

    await suite.check('restore of that backup beside the original, and drop', async () => {
        assert.ok(archive, 'there is no backup');
        await manager('restore', { name: restored, copy: 'true', backup_file: new Blob([archive], { type: 'application/zip' }) });
        assert.ok(await exists(restored));
        const twin = db.another(restored);
        assert.ok(await twin.value('SELECT count(*) FROM whatsapp_message') > 0);
        await twin.close();
        await drop(restored);
    }, 300);

    await suite.check('the original still sends and receives', async () => {
        const [to, text] = [person(), unique('after all that')];
        await serverAction(demo, doorB(to, text));
        await messageIs(demo, text, ACCEPTED, 60);
        await applied([await inbound(held)]);
    }, 200);
    await cluster.close();
};

/** The demo's settings for its copied database, in a file of their own that only this user can read. */
function copiedConfig(file, from, to) {
    const renamed = (url) => url.trim().replace(/^(postgres[^?]*\/)[^/?]+/, '$1' + to);
    const text = fs.readFileSync(file, 'utf8')
        .replaceAll('[databases.' + from, '[databases.' + to)
        .replace(/^url\s*=\s*"([^"]*)"/gm, (line, url) => 'url = "' + renamed(url) + '"')
        .replace(/^url_file\s*=\s*"([^"]*)"/gm, (line, secret) => 'url = "' + renamed(fs.readFileSync(secret, 'utf8')) + '"');
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wabridge-e2e-'));
    const copied = path.join(folder, 'copy.toml');
    fs.writeFileSync(copied, text, { mode: 0o600 });
    return copied;
}
