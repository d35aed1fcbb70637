// Open views follow what somebody else wrote into the database, and leave alone what the user is typing.
// The rows and the hints come from here, written as the daemon writes them.
'use strict';
const assert = require('node:assert/strict');
const { withBrowser } = require('../lib/browser.js');
const { sleep, until } = require('../lib/suite.js');
const { unique } = require('../lib/scene.js');

const BUS = 20; // s; until the browser's bus is connected
const HINTED = 10; // s; well below the 30 s after which a view re-reads by itself
const NOT_SHOWN = 2500; // ms; a hint needs a tenth of it

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_LOGIN', 'ODOO_PASSWORD', 'WHAPI_CONFIGURATION_ID');
    const { db, env } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const cluster = db.another('postgres');
    const partner = await db.value('SELECT partner_id FROM res_users WHERE login = $1', [env.ODOO_LOGIN]);
    const log = ['create_uid, write_uid, create_date, write_date', "1, 1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'"];

    let count = Date.now();
    /** One committed row, then NOTIFY; `n` differs in every row, as Odoo 14 needs it. */
    const hint = async (payload) => {
        const channel = JSON.stringify([env.ODOO_DB, 'res.partner', partner]);
        count += 1;
        await db.rows('INSERT INTO bus_bus (channel, message, ' + log[0] + ') VALUES ($1, $2, ' + log[1] + ')',
            [channel, JSON.stringify({ type: 'wabridge/changed', payload, n: count })]);
        await cluster.rows("SELECT pg_notify('imbus', $1)", [JSON.stringify([JSON.parse(channel)])]);
    };
    const message = async (content, status = 'sent') => db.value(`INSERT INTO whatsapp_message
            (configuration_id, message_id, content, message_type, from_me, status, direction, provider, timestamp, ` + log[0] + `)
        VALUES ($1, $2::varchar, $2::text, 'text', true, $3, 'outbound', 'whapi', date_trunc('second', now() AT TIME ZONE 'UTC'), ` + log[1] + `)
        RETURNING id`, [account, content, status]);
    const setStatus = (id, status) => db.rows('UPDATE whatsapp_message SET status = $2 WHERE id = $1', [id, status]);
    const supervisor = await db.value('SELECT supervisor_phone FROM whatsapp_configuration WHERE id = $1', [account]);
    const setSupervisor = (phone) => db.rows('UPDATE whatsapp_configuration SET supervisor_phone = $2 WHERE id = $1', [account, phone]);
    const made = [];

    try {
        await withBrowser(suite, demo, shots, async (person) => {
            await person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD);

            await suite.step('list: a row changed outside is shown after its hint', async () => {
                await person.action('whatsapp_integration.whatsapp_message_action');
                const text = unique('live bus');
                made.push(await message(text));
                await until('the first hinted row, while the bus connects', async () => {
                    await hint({ 'whatsapp.message': [] });
                    await sleep(400);
                    return person.rows(text);
                }, BUS);
            });

            await suite.step('list: negative control, a row without a hint is not shown', async () => {
                await person.action('whatsapp_integration.whatsapp_message_action'); // the 30 s start anew
                const known = unique('live known');
                made.push(await message(known));
                await until('the bus of this page', async () => {
                    await hint({ 'whatsapp.message': [] });
                    await sleep(400);
                    return person.rows(known);
                }, BUS);
                await sleep(1000); // the last hint's re-read is over
                const text = unique('live unhinted');
                made.push(await message(text));
                await sleep(NOT_SHOWN);
                assert.equal(await person.rows(text), 0, 'shown without a hint: the other checks prove nothing');
                await hint({ 'res.partner': [1] });
                await sleep(1000);
                assert.equal(await person.rows(text), 0, 'shown after a hint for another model');
                await hint({ 'whatsapp.message': [1] });
                await until('it is shown after the hint', () => person.rows(text), HINTED, 20);
            });

            await suite.check('list: a new row appears, ticked rows stay ticked', async () => {
                const [first, second] = [unique('live ticked'), unique('live new')];
                made.push(await message(first));
                await hint({ 'whatsapp.message': [] });
                await until('the row to tick', () => person.rows(first), HINTED);
                await person.tick(first);
                made.push(await message(second));
                await hint({ 'whatsapp.message': [] });
                await until('the new row', () => person.rows(second), HINTED, 20);
                const ticked = await person.ticked();
                assert.equal(ticked.length, 1);
                assert.ok(ticked[0].includes(first), ticked[0]);
                await person.shot('live-list');
            });

            await suite.check('list: window focus re-reads', async () => {
                const text = unique('live focus');
                made.push(await message(text));
                await person.page.evaluate(() => window.dispatchEvent(new Event('focus')));
                await until('the row', () => person.rows(text), HINTED, 20);
            });

            await suite.check('kanban: a new card appears, a changed one follows', async () => {
                const text = unique('live card');
                await person.action('whatsapp_integration.whatsapp_message_action', { type: 'kanban' });
                const id = await message(text, 'sent');
                made.push(id);
                const card = (word) => person.page.locator('.o_kanban_view .o_kanban_record').filter({ hasText: text }).filter({ hasText: word }).count();
                await until('the card, while the bus connects', async () => {
                    await hint({ 'whatsapp.message': [] });
                    await sleep(400);
                    return card('Sent');
                }, BUS);
                await sleep(1000);
                await setStatus(id, 'failed');
                await hint({ 'whatsapp.message': [id] });
                await until('the status on the card', () => card('Failed'), HINTED, 20);
                await person.shot('live-kanban');
            });

            const subject = await message(unique('live form'), 'sent');
            made.push(subject);
            await suite.step('form: a status changed outside is shown after its hint', async () => {
                await person.action('whatsapp_integration.whatsapp_message_action', { id: subject, model: 'whatsapp.message' });
                await until('the status Sent', async () => await person.status() === 'Sent');
                await setStatus(subject, 'delivered');
                await until('the status Delivered, while the bus connects', async () => {
                    await hint({ 'whatsapp.message': [subject] });
                    await sleep(400);
                    return await person.status() === 'Delivered';
                }, BUS);
                await sleep(1000);
                await setStatus(subject, 'read');
                await hint({ 'whatsapp.message': [subject + 1000000] });
                await sleep(NOT_SHOWN);
                assert.equal(await person.status(), 'Delivered', 'shown after a hint for another record');
                await hint({ 'whatsapp.message': [subject] });
                await until('the status Read', async () => await person.status() === 'Read', HINTED, 20);
            });

            await suite.check('form: typed text is not lost, the change is shown after discarding', async () => {
                const { name } = await db.row('SELECT name FROM whatsapp_configuration WHERE id = $1', [account]);
                await person.action('whatsapp_integration.whatsapp_configuration_action', { id: account, model: 'whatsapp.configuration' });
                await until('the account', async () => await person.value('name') === name);
                const outside = '+4477009' + String(Date.now()).slice(-5);
                const follow = (word) => until(word, async () => {
                    await hint({ 'whatsapp.configuration': [account] });
                    await sleep(400);
                    return await person.value('supervisor_phone') === word;
                }, BUS);
                await setSupervisor(outside);
                await follow(outside);
                await person.edit();
                await person.fill('name', 'typed ' + outside);
                await setSupervisor(outside + '0');
                for (let i = 0; i < 3; i++) {
                    await hint({ 'whatsapp.configuration': [account] });
                    await sleep(800);
                }
                assert.equal(await person.value('name'), 'typed ' + outside, 'the typed text was lost');
                assert.equal(await person.value('supervisor_phone'), outside, 'the form was read again under the user');
                await person.shot('live-typing');
                await person.discard();
                await until('the change from outside', async () => await person.value('supervisor_phone') === outside + '0', HINTED, 20);
                assert.equal(await person.value('name'), name);
            });

            await suite.check('a record deleted outside leaves the screen alone, without a dialog', async () => {
                const id = await message(unique('live deleted'), 'sent');
                await person.action('whatsapp_integration.whatsapp_message_action', { id, model: 'whatsapp.message' });
                await until('the status Sent', async () => await person.status() === 'Sent');
                await sleep(2000); // the bus is connected
                await db.rows('DELETE FROM whatsapp_message WHERE id = $1', [id]);
                await hint({ 'whatsapp.message': [id] });
                await sleep(NOT_SHOWN);
                assert.equal(await person.page.locator('.modal:visible').count(), 0, 'a dialog came up');
            });
        });
    } finally {
        await db.rows('DELETE FROM whatsapp_message WHERE id = ANY ($1)', [made]);
        await setSupervisor(supervisor);
        await cluster.close();
    }
};
