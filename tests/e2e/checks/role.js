// What the daemon's database role can do in a whole Odoo: every table x every column x every right, tried as that role.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Client } = require('pg');
const { runBinary } = require('../lib/daemon.js');
const { serverAction } = require('../lib/scene.js');

const GRANTS = path.join(__dirname, '../../../odoo_addon/whatsapp_integration/data/grants.sql');

/** The rights that the addon's file grants: `table.column SELECT`, `table DELETE`, `sequence USAGE`. */
function listed(sql) {
    const rights = new Set();
    for (const [, what, on] of sql.matchAll(/^ *GRANT ((?:(?!;)[^])*?)\s+ON (?:SEQUENCE )?([a-z_]+) TO :role;/gm)) {
        for (const [, word, columns] of what.matchAll(/([A-Z]+)(?: \(([^)]*)\))?/g)) {
            (columns ? columns.split(',') : ['']).forEach((column) => {
                rights.add(on + (column ? '.' + column.trim() : '') + ' ' + word);
            });
        }
    }
    return rights;
}

// EXPLAIN checks the rights of a statement and runs nothing.
const TRY_ALL = `
    CREATE TEMP TABLE IF NOT EXISTS allowed (what text);
    TRUNCATE allowed;
    DO $$
    DECLARE
        tried record;
        sql text;
    BEGIN
        FOR tried IN
            SELECT c.relname, a.attname, r.word
            FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE')) AS r(word)
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
              AND (c.relkind IN ('r', 'p') OR r.word = 'SELECT')
            UNION ALL
            SELECT c.relname, NULL, r.word FROM pg_class c CROSS JOIN (VALUES ('DELETE'), ('TRUNCATE')) AS r(word)
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            UNION ALL
            SELECT c.relname, NULL, 'USAGE' FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
        LOOP
            sql := CASE tried.word
                WHEN 'SELECT' THEN format('EXPLAIN SELECT %I FROM public.%I', tried.attname, tried.relname)
                WHEN 'INSERT' THEN format('EXPLAIN INSERT INTO public.%I (%I) VALUES (DEFAULT)', tried.relname, tried.attname)
                WHEN 'UPDATE' THEN format('EXPLAIN UPDATE public.%I SET %I = DEFAULT', tried.relname, tried.attname)
                WHEN 'DELETE' THEN format('EXPLAIN DELETE FROM public.%I', tried.relname)
                WHEN 'TRUNCATE' THEN format('TRUNCATE public.%I', tried.relname)
                ELSE format('SELECT nextval(%L)', 'public.' || quote_ident(tried.relname))
            END;
            BEGIN
                EXECUTE sql;
                INSERT INTO allowed VALUES (concat_ws('.', tried.relname, tried.attname) || ' ' || tried.word);
            EXCEPTION WHEN insufficient_privilege THEN
                NULL;
            END;
        END LOOP;
    END $$`;

module.exports = async (suite, demo) => {
    demo.need('WABRIDGE_CONFIG', 'DATABASE_URL', 'ODOO_DB');
    const { db, env } = demo;
    const url = fs.readFileSync(path.join(path.dirname(env.WABRIDGE_CONFIG), 'database.url'), 'utf8').trim();
    const role = new Client({ connectionString: url });
    await role.connect();
    const tried = async () => {
        await role.query('BEGIN');
        try {
            await role.query(TRY_ALL);
            return new Set((await role.query('SELECT what FROM allowed')).rows.map((row) => row.what));
        } finally {
            await role.query('ROLLBACK');
        }
    };
    const columns = new Set((await db.rows(
        "SELECT c.relname || '.' || a.attname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 " +
        "AND NOT a.attisdropped WHERE c.relnamespace = 'public'::regnamespace")).map((row) => row.name));
    // Odoo 19 has no res_partner.mobile
    const wanted = [...listed(fs.readFileSync(GRANTS, 'utf8'))]
        .filter((right) => !right.includes('.') || columns.has(right.split(' ')[0]));
    const differences = (allowed) => ({
        more: [...allowed].filter((right) => !wanted.includes(right)), less: wanted.filter((right) => !allowed.has(right)),
    });
    try {
        await suite.check('of all tables of Odoo the role can do what is granted and nothing else', async () => {
            assert.ok(columns.size > 2000, columns.size + ' columns');
            assert.ok(wanted.length > 300, wanted.length + ' rights');
            assert.deepEqual(differences(await tried()), { more: [], less: [] });
        });
        await suite.check('passwords, addresses and invoices of others are refused, so is making things', async () => {
            for (const sql of ['SELECT password FROM res_users', 'SELECT email FROM res_partner', 'SELECT * FROM res_partner',
                'SELECT key FROM res_users_apikeys', 'SELECT body FROM mail_message', 'SELECT datas FROM ir_attachment',
                'UPDATE res_groups_users_rel SET uid = 2', 'DELETE FROM whatsapp_configuration', 'CREATE TABLE public.mine (id int)',
                'CREATE SCHEMA mine', "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'"]) {
                await role.query('BEGIN');
                const code = await role.query(sql).then(() => 'allowed', (error) => error.code);
                await role.query('ROLLBACK');
                // 42703: that column is none in this series
                assert.ok(code === '42501' || (code === '42703' && /datas/.test(sql)), sql + ': ' + code);
            }
        });
        await suite.check('the addon takes back what was granted beside, when it applies its rights again', async () => {
            await db.rows('GRANT SELECT ON res_partner TO wabridge; GRANT UPDATE (login) ON res_users TO wabridge; ' +
                'GRANT DELETE ON phone_blacklist TO wabridge; REVOKE INSERT (content) ON whatsapp_message FROM wabridge');
            const before = differences(await tried());
            assert.ok(before.more.includes('res_partner.email SELECT') && before.more.includes('phone_blacklist DELETE'));
            assert.deepEqual(before.less, ['whatsapp_message.content INSERT']);
            // As at each install and upgrade
            await serverAction(demo, "env['whatsapp.loader'].sudo()._apply_grants()");
            assert.deepEqual(differences(await tried()), { more: [], less: [] });
        });
        await suite.check('doctor finds nothing missing and nothing too much', async () => {
            const report = (await runBinary(demo, ['doctor', '--config', env.WABRIDGE_CONFIG])).stdout;
            assert.match(report, /rights: the role has what it needs, and no more/);
        });
    } finally {
        await role.end();
    }
};
