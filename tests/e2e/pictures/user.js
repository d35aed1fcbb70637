// What a person who writes and answers sees.
'use strict';
const ACCEPTED = ['sent', 'delivered', 'read'];
const PDF = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');

const wizard = async ({ user }) => {
    await user.action('whatsapp_integration.whatsapp_contact_action'); // the list behind the dialog
    await user.menu('WhatsApp', 'Send Message');
    await user.dialog();
};
const sendAs = async (stage, name, body, more = {}) => {
    const { demo, world } = stage;
    const { data } = await demo.bridge.result('message.send', {
        uid: await demo.user.uid(), configuration_id: world.support, to: name.startsWith('+') ? name : world.number(name), type: 'text', text: { body }, ...more,
    });
    return data.id;
};
const status = (stage, id, wanted) => stage.user.seen(async () => {
    const now = await stage.demo.db.value('SELECT status FROM whatsapp_message WHERE id = $1', [id]);
    return wanted.includes(now);
}, 'message ' + id + ' is ' + wanted.join(' or '));
const openMessage = (stage, id, text) => stage.user.openForm('whatsapp_message_action', 'whatsapp.message', id, text);

module.exports = [
    {
        names: ['inbox'],
        async play({ user }) {
            await user.inbox('Amira Osei');
            await user.seen(() => user.page.locator('.o_wa_log').getByText('Purchase order 4711').count());
            await user.seen(() => user.page.locator('.o_wa_image img').first().evaluate((image) => image.complete && image.naturalWidth > 0));
            await user.picture('inbox', { height: 800 });
        },
    },
    {
        names: ['inbox-reply'],
        async play({ user }) {
            const { page } = user;
            await user.inbox('Chiara Rossi');
            const asked = page.locator('.o_wa_row').filter({ hasText: 'price list' }).first();
            await asked.hover();
            await asked.locator('.o_wa_menu button').first().click();
            await page.waitForSelector('.o_wa_replying .o_wa_quote');
            await page.fill('.o_wa_input', 'Here it is. The oak tables are on page 3.');
            await user.picture('inbox-reply');
        },
    },
    {
        names: ['send-wizard'],
        async play(stage) {
            const { user } = stage;
            await wizard(stage);
            await user.select('recipient_type', 'Partner');
            await user.choose('partner_id', 'Amira');
            await user.type({ text: 'Dear Amira, your armchair is ready. Would Thursday at 10 suit you?' });
            await user.picture('send-wizard');
            await user.closeDialog();
        },
    },
    {
        names: ['send-document'],
        async play(stage) {
            const { user } = stage;
            await wizard(stage);
            await user.pick('document', 'message_type');
            await user.type({ number: stage.world.number('Chiara Rossi') });
            await user.page.locator('.modal .o_field_widget[name="file"] input[type="file"]').first()
                .setInputFiles({ name: 'Price list oak tables.pdf', mimeType: 'application/pdf', buffer: PDF });
            await user.type({ caption: 'Our price list, valid until June.' });
            await user.picture('send-document');
            await user.closeDialog();
        },
    },
    {
        names: ['send-template'],
        async play(stage) {
            const { demo, user, world } = stage;
            const sync = await world.create('whatsapp.message.template.sync', { configuration_id: world.meta });
            await demo.admin.call('whatsapp.message.template.sync', 'action_synchronise', [[sync]]);
            await wizard(stage);
            await user.choose('configuration_id', 'Acme Service');
            await user.pick('template', 'message_type');
            await user.type({ number: world.number('Hugo Martin') });
            await user.choose('template_id', 'shipped', 'shipped (en_GB)');
            await user.type({ template_values: 'A-1234' });
            await user.picture('send-template');
            await user.closeDialog();
        },
    },
    {
        names: ['message-read', 'message-story'],
        async play(stage) {
            const { user } = stage;
            const text = 'Dear Grace, the next delivery comes on 14 May.';
            const id = await sendAs(stage, 'Grace Lindqvist', text);
            await status(stage, id, ['read']);
            await openMessage(stage, id, text);
            await user.seen(async () => await user.status() === 'Read');
            await user.picture('message-read');
            await user.tab('Why\\?');
            await user.button('action_explain');
            await user.page.waitForSelector('.modal:visible .o_field_widget[name="story"]');
            await user.picture('message-story');
            await user.closeDialog();
        },
    },
    {
        names: ['message-waiting'],
        async play(stage) {
            const { user } = stage;
            const text = 'Dear Ben, a short reminder: we come tomorrow at 9.';
            const later = new Date(Date.now() + 20 * 3600 * 1000).toISOString().slice(0, 19) + 'Z';
            const id = await sendAs(stage, 'Ben Carter', text, { schedule_at: later });
            await openMessage(stage, id, text);
            await user.seen(() => user.page.locator('.o_form_view button[name="action_cancel"]:visible').count());
            await user.picture('message-waiting');
            await stage.demo.bridge.result('message.cancel', { uid: await stage.demo.user.uid(), id });
        },
    },
    {
        names: ['messages'],
        async play({ user }) {
            await user.action('whatsapp_integration.whatsapp_message_action');
            await user.seen(() => user.rows('Amira'));
            await user.picture('messages');
        },
    },
    {
        names: ['send-partner', 'send-answer'],
        async play(stage) {
            const { demo, user, world } = stage;
            const id = world.partners['David Kim'];
            await user.action('base.action_partner_form', { id, model: 'res.partner' });
            await user.button('action_whatsapp_send');
            await user.dialog();
            const text = 'Dear David, offer 2026/118 is attached to your order. May we start?';
            await user.type({ text });
            await user.picture('send-partner');
            await user.button('action_send');
            await user.noDialog();
            const sent = await user.seen(() => demo.db.row('SELECT * FROM whatsapp_message WHERE content = $1', [text]));
            await status(stage, sent.id, ACCEPTED);
            const answer = 'Yes, please start on Monday.';
            await demo.simulator.inbound({ provider: 'whapi', token: demo.env.WHAPI_TOKEN, from: world.number('David Kim'), from_name: 'David Kim', text: answer });
            await user.seen(() => demo.db.value("SELECT count(*)::int FROM mail_message WHERE model = 'res.partner' AND res_id = $1 AND body LIKE '%' || $2 || '%'",
                [id, answer]), 'the answer on the partner');
            await user.action('base.action_partner_form', { id, model: 'res.partner' });
            await user.seen(() => user.page.getByText(answer).count());
            await user.page.getByText(answer).first().scrollIntoViewIfNeeded();
            await user.picture('send-answer');
        },
    },
    {
        names: ['contacts'],
        async play({ user }) {
            await user.action('whatsapp_integration.whatsapp_contact_action');
            await user.seen(() => user.rows('Chiara'));
            await user.picture('contacts');
        },
    },
    {
        names: ['contact', 'contact-partner'],
        async play({ user, world, demo }) {
            const id = await world.contact('Elena Petrova');
            await user.openForm('whatsapp_contact_action', 'whatsapp.contact', id, 'Elena Petrova');
            await user.picture('contact');
            await user.button('action_choose_partner');
            await user.dialog();
            await user.picture('contact-partner');
            await user.closeDialog();
        },
    },
    {
        names: ['contact-check'],
        async play({ user }) {
            const { page } = user;
            await user.action('whatsapp_integration.whatsapp_contact_action');
            for (const name of ['Amira Osei', 'Ben Carter', 'Chiara Rossi', 'David Kim']) {
                await user.tick(name);
            }
            await user.seen(async () => (await user.ticked()).length === 4);
            await user.actions();
            await user.entry('Who is on WhatsApp?').click();
            await user.dialog();
            await user.button('action_check');
            await page.waitForSelector('.o_wa_batches_box', { state: 'detached', timeout: 60000 });
            await user.seen(async () => (await user.value('count_yes')).startsWith('4'));
            await user.picture('contact-check');
            await user.closeDialog();
        },
    },
    {
        names: ['message-failed'],
        async play(stage) {
            const { user } = stage;
            const text = 'Hello, your order can be collected.';
            const id = await sendAs(stage, '+447700900801', text);
            await status(stage, id, ['failed']);
            await openMessage(stage, id, text);
            await user.seen(() => user.page.locator('.o_form_view button[name="action_retry"]:visible').count());
            await user.picture('message-failed');
        },
    },
    {
        names: ['files'],
        async play({ user }) {
            await user.action('whatsapp_integration.whatsapp_media_action', { type: 'kanban' });
            await user.seen(() => user.page.getByText('Purchase order 4711').count());
            await user.picture('files');
        },
    },
];
