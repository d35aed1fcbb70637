// Writing to many: the ticked records of a list, templates, campaigns.
'use strict';

const NAME = 'Spring sale';

module.exports = [
    {
        names: ['send-many', 'actions'],
        async play({ user }) {
            await user.action('whatsapp_integration.whatsapp_contact_action');
            for (const name of ['Amira Osei', 'Chiara Rossi', 'Elena Petrova', 'Grace Lindqvist']) {
                await user.tick(name);
            }
            await user.seen(async () => (await user.ticked()).length === 4);
            await user.actions();
            await user.entry('Send WhatsApp to many').waitFor();
            await user.picture('actions');
            if (!await user.entry('Send WhatsApp to many').isVisible()) {
                await user.actions();
            }
            await user.entry('Send WhatsApp to many').click();
            await user.dialog();
            await user.type({ name: 'Garden furniture', text: 'Our garden furniture is here. Come and see it on Saturday!' });
            await user.picture('send-many');
            await user.closeDialog();
        },
    },
    {
        names: ['template', 'campaign-draft', 'campaign-dry-run', 'campaign-done', 'campaign-results'],
        async play({ demo, user, world }) {
            const { admin, db } = demo;
            const { page } = user;
            const [known] = await admin.call('whatsapp.message.template', 'search', [[['name', '=', 'spring_sale']]]);
            const template = known || await world.create('whatsapp.message.template', {
                name: 'spring_sale', language: 'en_US', model: 'res.partner',
                body: 'Dear {{1}}, until Friday you get 20 % off everything made of oak. Your customer number is {{2}}.', footer_text: 'Reply STOP and we write no more.',
                variable_ids: [[0, 0, { placeholder: '1', field_path: 'name' }], [0, 0, { placeholder: '2', field_path: 'ref' }]],
            });
            await user.openForm('whatsapp_message_template_action', 'whatsapp.message.template', template, 'spring_sale');
            await user.picture('template', { height: 960 });

            // Who would not get it: nobody's number, somebody without a customer number, the same number twice.
            const odd = [['Sofia Marino', { ref: 'C-1060' }], ['Tom Becker', { phone: '+447700900134' }], ['Osei Interiors', { phone: '+447700900123', ref: 'C-1061' }]];
            const more = [];
            for (const [name, values] of odd) {
                const [there] = await admin.call('res.partner', 'search', [[['name', '=', name]]]);
                more.push(there || await world.create('res.partner', { name, ...values }));
            }
            const campaign = [].concat(await demo.user.call('whatsapp.bulk.campaign', 'create', [{
                name: NAME, configuration_id: world.support, category: 'marketing', content_kind: 'template', template_id: template,
                recipient_source: 'list', partner_ids: [[6, 0, [...Object.values(world.partners), ...more]]],
            }]))[0];
            const open = () => user.openForm('whatsapp_bulk_campaign_action', 'whatsapp.bulk.campaign', campaign, NAME);
            const state = () => db.value('SELECT state FROM whatsapp_bulk_campaign WHERE id = $1', [campaign]);
            await open();
            await user.button('action_preview_next');
            await user.seen(async () => (await user.value('preview_text')).includes('Dear'));
            await user.picture('campaign-draft', { height: 900 });
            await user.button('action_check');
            await user.seen(async () => await state() === 'ready', 'the dry run');
            await open();
            await user.button('action_recipients');
            await user.seen(() => user.rows('No number'));
            await user.picture('campaign-dry-run');
            await demo.user.call('whatsapp.bulk.campaign', 'action_start', [[campaign]], {}, 120000);
            const cron = await demo.ref('whatsapp_integration.cron_campaigns');
            await user.seen(async () => {
                // Odoo's own run of it may be under way: then this one is refused
                await admin.call('ir.cron', 'method_direct_trigger', [[cron]], {}, 120000).catch(() => undefined);
                return await state() === 'done' && await db.value(
                    "SELECT count(*)::int = 8 FROM whatsapp_bulk_campaign_recipient WHERE campaign_id = $1 AND state = 'read'", [campaign]);
            }, 'everybody read it');
            await open();
            await user.seen(async () => await user.status() === 'Done');
            await user.seen(async () => await user.value('count_read') === '8');
            await user.picture('campaign-done', { height: 800 });
            await user.button('action_recipients');
            await page.waitForSelector('.o_list_view');
            await user.seen(() => user.rows('Read'));
            await user.picture('campaign-results');
        },
    },
];
