// Props that several checks need: words nobody used before, server actions, users, waits on rows.
'use strict';
const crypto = require('node:crypto');
const { until } = require('./suite.js');

/** A word that no earlier run used, to find one message among all. */
const unique = (label) => label + ' ' + crypto.randomBytes(5).toString('hex');

/** The same for texts that stand in the documentation's pictures. */
const order = (sentence) => sentence + ' Order ' + crypto.randomInt(100000, 999999) + '.';

/** A fresh number of the simulator's default people: on WhatsApp, delivered, read, silent. */
const person = () => '+4477009' + String(crypto.randomInt(10000, 79999)).padStart(5, '0');

/** Runs Python in Odoo, in one transaction of its own, as a server action does. */
async function serverAction(demo, code, limit) {
    const model = await demo.db.value("SELECT id FROM ir_model WHERE model = 'res.partner'");
    const id = await demo.admin.call('ir.actions.server', 'create', [{ name: 'wabridge e2e', model_id: model, state: 'code', code }]);
    try {
        return await demo.admin.call('ir.actions.server', 'run', [[id]], {}, limit);
    } finally {
        await demo.admin.call('ir.actions.server', 'unlink', [[id]]);
    }
}

/** Python that sends through the transaction door; call arguments are JSON, which Python reads the same way. */
const doorB = (to, text, kwargs = '') =>
    "env['whatsapp.core.service'].send_text_message(" + JSON.stringify(to) + ', ' + JSON.stringify(text) + kwargs + ')';

/** A user with the password `e2e-password` and exactly the groups named by their XML ids. */
async function userWith(demo, login, groups) {
    const series = await demo.series();
    const ids = await Promise.all(groups.map((name) => demo.ref(name)));
    const field = series < 19 ? 'groups_id' : 'group_ids';
    const [found] = await demo.admin.call('res.users', 'search', [[['login', '=', login]]]);
    const values = { [field]: [[6, 0, ids]], password: 'e2e-password' };
    if (found) {
        await demo.admin.call('res.users', 'write', [[found], values]);
    } else {
        await demo.admin.call('res.users', 'create', [{ name: login, login, ...values }]);
    }
    return demo.anotherUser(login, 'e2e-password');
}

const messages = (demo, text) => demo.db.rows(
    'SELECT * FROM whatsapp_message WHERE content = $1 ORDER BY id', [text]);

/** The only row with that text, once it has one of the wanted statuses. */
function messageIs(demo, text, statuses, seconds = 30) {
    return until('the message is ' + statuses.join(' or '), async () => {
        const rows = await messages(demo, text);
        if (rows.length > 1) {
            throw new Error(rows.length + ' rows hold it');
        }
        if (!rows.length || !statuses.includes(rows[0].status)) {
            throw new Error(rows.length ? 'it is ' + rows[0].status + ' ' + (rows[0].error_code || '') : 'no row');
        }
        return rows[0];
    }, seconds, 100);
}

const ACCEPTED = ['sent', 'delivered', 'read'];

/** Waits until somebody waits for what the transaction of `holder` (an open connection) has locked. */
async function blockedBy(demo, holder, what, seconds = 30) {
    const pid = await holder.value('SELECT pg_backend_pid()');
    await until(what + ' waits for our lock', () => demo.db.value(
        'SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))', [pid]), seconds);
}

module.exports = { unique, order, person, serverAction, doorB, userWith, messages, messageIs, ACCEPTED, blockedBy };
