// Groups: made, looked after, invited to, left.
'use strict';

const NAME = 'Summer fair';
const REFUSES = '+447700900802'; // lets nobody add them to groups
const DIALOG = '.modal:visible ';

const groupOf = (demo, name) => demo.db.row('SELECT * FROM whatsapp_group WHERE name = $1 AND configuration_id = $2', [name, Number(demo.env.WHAPI_CONFIGURATION_ID)]);

module.exports = [
    {
        names: ['group-create-details', 'group-create-people', 'group-create-result', 'groups', 'group-form', 'group-invitation', 'group-add'],
        async play({ demo, user, world }) {
            const { page } = user;
            if (!await groupOf(demo, NAME)) {
                await user.action('whatsapp_integration.whatsapp_group_action');
                await user.menu('WhatsApp', 'Groups', 'Create Group');
                await user.dialog();
                await user.type({ name: NAME, description: 'Who does what at the fair in June' });
                await user.picture('group-create-details');
                await user.press('action_to_people', DIALOG + '[name="numbers"]');
                await user.choose('partner_ids', 'Grace', 'Grace Lindqvist');
                await user.choose('partner_ids', 'Hugo', 'Hugo Martin');
                await user.type({ numbers: world.number('Isabel Santos') + '\n' + REFUSES });
                await user.picture('group-create-people');
                await user.press('action_to_settings', DIALOG + '[name="join_approval"]');
                await user.press('action_create_group', DIALOG + '.o_field_widget[name="line_ids"] .o_data_row');
                await user.seen(() => page.locator(DIALOG + '.o_field_widget[name="invite_qr"] img').evaluate((image) => image.complete && image.naturalWidth > 100));
                await user.picture('group-create-result', { height: 760 });
                await user.press('action_open_group', '.o_field_widget[name="member_ids"] .o_data_row');
                await user.noDialog();
            }
            const group = await groupOf(demo, NAME);
            await user.action('whatsapp_integration.whatsapp_group_action');
            await user.seen(() => user.rows(NAME));
            await user.picture('groups');
            await user.openForm('whatsapp_group_action', 'whatsapp.group', group.id, NAME);
            await user.seen(() => page.locator('.o_field_widget[name="member_ids"] .o_data_row').count());
            await user.picture('group-form');
            await user.tab('Invitation');
            await user.seen(() => page.locator('.o_field_widget[name="invite_qr"] img').evaluate((image) => image.complete && image.naturalWidth > 100));
            await user.picture('group-invitation', { height: 900 });
            await user.openForm('whatsapp_group_action', 'whatsapp.group', group.id, NAME);
            await user.button('action_add_people');
            await user.dialog();
            await user.choose('partner_ids', 'Farid', 'Farid Haddad');
            await user.picture('group-add');
            await user.closeDialog();
        },
    },
    {
        names: ['group-removed'],
        async play({ demo, boss, world }) {
            const answer = await demo.user.route('/whatsapp/groups/create', { name: 'Early shift', participants: [world.number('Karim Diallo'), world.number('Jonas Weber')] }, 90000);
            if (!answer.success) {
                throw new Error(JSON.stringify(answer));
            }
            await boss.action('whatsapp_integration.whatsapp_group_action');
            await boss.menu('WhatsApp', 'Groups', 'Remove Member');
            await boss.dialog();
            await boss.pick('number', 'person_type');
            await boss.type({ number: world.number('Karim Diallo'), farewell: 'Dear Karim, thank you for four good years.' });
            await boss.seen(async () => (await (await boss.widget('found_ids')).innerText()).includes('Early shift'));
            await boss.press('action_remove', DIALOG + '.o_field_widget[name="line_ids"] .o_data_row');
            await boss.picture('group-removed');
            await boss.closeDialog();
        },
    },
];
