// Synchronisation: asked for, under way, what it decided, its schedules.
'use strict';
const crypto = require('node:crypto');

module.exports = [{
    names: ['sync-wizard', 'sync-running', 'sync-decision', 'sync-schedules'],
    async play({ demo, boss, world }) {
        const { admin, db, simulator } = demo;
        const name = 'Acme Workshop';
        const token = crypto.randomBytes(20).toString('hex');
        const base = await db.value('SELECT base_url FROM whatsapp_configuration WHERE id = $1', [world.support]);
        const person = { phone: '447700900135', name: 'Nadia' };
        await simulator.control('POST', '/state', {
            accounts: [{ provider: 'whapi', token, channel_id: 'OTTER-' + token.slice(0, 5).toUpperCase(), phone: '447700900994', name }], contacts: 2500, people: [{ ...person, saved_name: 'Nadia Brandt' }],
        });
        const account = await world.create('whatsapp.configuration', { name, provider: 'whapi', channel_id: 'OTTER-' + token.slice(0, 5).toUpperCase(), base_url: base, pace_per_second: 0 });
        const wizard = await world.create('whatsapp.set.credentials.wizard', { configuration_id: account, token });
        await admin.call('whatsapp.set.credentials.wizard', 'action_apply', [[wizard]]);
        await boss.seen(async () => (await demo.bridge.result('configuration.test',
            { uid: await admin.uid(), configuration_id: account })).data.state === 'connected', 'the daemon knows the account');
        const run = () => db.row('SELECT * FROM whatsapp_sync_run WHERE configuration_id = $1 ORDER BY id DESC LIMIT 1', [account]);
        const done = () => boss.seen(async () => (await run()).state === 'done', 'the run is done');
        try {
            await simulator.fault({ provider: 'whapi', token, operation: 'contact.list', delay_ms: 4000 });
            await boss.action('whatsapp_integration.whatsapp_contact_action');
            await boss.menu('WhatsApp', 'Configuration', 'Synchronise');
            await boss.dialog();
            await boss.picture('sync-wizard');
            await boss.closeDialog();
            await boss.openForm('whatsapp_configuration_action', 'whatsapp.configuration', account, name);
            await boss.button('action_synchronise');
            await boss.dialog();
            await boss.seen(async () => (await boss.value('configuration_ids')).includes(name));
            await boss.click('groups');
            await boss.button('action_start');
            await boss.noDialog();
            await boss.seen(async () => {
                const now = Number((await boss.value('progress')).replace(/[^0-9.]/g, '') || 0);
                return now > 20 && now < 90;
            }, 'some progress');
            await boss.picture('sync-running');
            await simulator.noFaults();
            await done();
            // Somebody names her here, and she is renamed at the provider.
            const contact = await db.value('SELECT id FROM whatsapp_contact WHERE configuration_id = $1 AND phone = $2', [account, '+' + person.phone]);
            await admin.call('whatsapp.contact', 'write', [[contact], { name: 'Nadia Brandt (workshop)' }]);
            await simulator.control('POST', '/state', { people: [{ ...person, saved_name: 'Nadia Brandt-Lee' }] });
            const before = (await run()).id;
            await admin.call('whatsapp.sync.run', 'action_again', [[before]]);
            await boss.seen(async () => (await run()).id > before, 'another run');
            await done();
            await boss.action('whatsapp_integration.whatsapp_sync_run_action', { id: (await run()).id, model: 'whatsapp.sync.run' });
            await boss.seen(() => boss.page.locator('.o_form_view .o_data_row').filter({ hasText: 'Brandt-Lee' }).count());
            await boss.picture('sync-decision', { height: 800 });
            await boss.action('whatsapp_integration.whatsapp_sync_service_action');
            await boss.seen(() => boss.rows('Acme Support'));
            await boss.picture('sync-schedules');
        } finally {
            await simulator.noFaults();
            await simulator.control('POST', '/state', { contacts: 0 });
            await admin.call('whatsapp.configuration', 'write', [[account], { active: false }]);
        }
    },
}];
