// The company that the pictures show: customers, conversations and groups, all made up. Numbers are of the range for drama.
'use strict';
const { until } = require('../lib/suite.js');

const DAY = 86400;
const CUSTOMERS = [
    ['Amira Osei', '+447700900123', 'Osei Interiors'],
    ['Ben Carter', '+447700900124', 'Carter & Sons'],
    ['Chiara Rossi', '+447700900125', 'Rossi Studio'],
    ['David Kim', '+447700900126', 'Kim Logistics'],
    ['Elena Petrova', '+447700900127', 'Petrova Hotels'],
    ['Farid Haddad', '+447700900128', 'Haddad Catering'],
    ['Grace Lindqvist', '+447700900129', 'Lindqvist Garden'],
    ['Hugo Martin', '+447700900130', 'Martin Bikes'],
];
// Colleagues, who are in groups.
const COLLEAGUES = [['Isabel Santos', '+447700900131'], ['Jonas Weber', '+447700900132'], ['Karim Diallo', '+447700900133']];
/** A document that somebody sends: each has bytes of its own, for equal ones are one file. */
const pdf = (filename) => ({
    type: 'document',
    media: { filename, mime_type: 'application/pdf', base64: Buffer.from('%PDF-1.4\n% ' + filename + '\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n').toString('base64') },
});
const number = (name) => [...CUSTOMERS, ...COLLEAGUES].find(([other]) => other === name)[1];

/** What was said, as [who, text or message]; `me` is somebody at the account's own phone. Each a minute after the other. */
const TALKS = [
    { with: 'Hugo Martin', days: 3, said: [['Hugo Martin', 'Hello, are you open on Saturday?'], ['me', 'Yes, from 9 to 13.'], ['Hugo Martin', 'Perfect, see you then.']] },
    { with: 'Grace Lindqvist', days: 2, said: [['Grace Lindqvist', 'The two olive trees arrived, thank you!'], ['Grace Lindqvist', { type: 'voice' }], ['me', 'Lovely. Give them water twice a week.']] },
    { with: 'Farid Haddad', days: 1, said: [['Farid Haddad', 'Can we move the tasting to Thursday?'], ['me', 'Thursday 11:00 is free. Shall I book it?'], ['Farid Haddad', 'Please do.'], ['Farid Haddad', pdf('Guests and allergies.pdf')]] },
    { with: 'Elena Petrova', days: 1, said: [['Elena Petrova', 'We need 40 more chairs for the terrace.'], ['Elena Petrova', pdf('Terrace plan.pdf')]] },
    { with: 'David Kim', days: 0, said: [['me', 'Your delivery leaves tomorrow at 8.'], ['David Kim', 'Understood, the gate is open from 7.']] },
    { with: 'Chiara Rossi', days: 0, said: [['Chiara Rossi', 'Could you send me the price list?'], ['Chiara Rossi', 'For the oak tables, please.']] },
    { with: 'Ben Carter', days: 0, said: [['Ben Carter', 'Which of the invoices is still open?'], ['me', 'Only the one of March.']] },
    { with: 'Amira Osei', days: 0, said: [
        ['Amira Osei', 'Good morning! Is the blue armchair in stock?'],
        ['me', 'Good morning Amira. Yes, two of them.'],
        ['Amira Osei', { type: 'image', caption: 'It would stand here.' }],
        ['me', 'That will look wonderful. Shall I keep one for you?'],
        ['Amira Osei', 'Yes please, until Friday.'],
        ['Amira Osei', pdf('Purchase order 4711.pdf')],
    ] },
];

async function scenery(demo) {
    demo.need('ODOO_LOGIN', 'ODOO_USER_LOGIN', 'SIMULATOR_URL', 'WHAPI_TOKEN', 'WHAPI_CONFIGURATION_ID', 'META_CONFIGURATION_ID');
    const { admin, db, env, simulator } = demo;
    const support = Number(env.WHAPI_CONFIGURATION_ID);
    const meta = Number(env.META_CONFIGURATION_ID);
    const create = async (model, values) => [].concat(await admin.call(model, 'create', [values]))[0];
    const found = async (model, domain, values) => {
        const [id] = await admin.call(model, 'search', [domain]);
        return id || create(model, { ...Object.fromEntries(domain.map(([field, , value]) => [field, value])), ...values });
    };

    await admin.call('res.users', 'write', [[await demo.user.uid()], { name: 'Mia Novak', email: 'mia@acme.example' }]);
    await admin.call('res.users', 'write', [[await admin.uid()], { name: 'Robin Hale', email: 'robin@acme.example' }]);
    await admin.call('whatsapp.configuration', 'write', [[meta], { user_ids: [[4, await demo.user.uid()]] }]);
    await admin.call('whatsapp.configuration', 'write', [[support], { supervisor_phone: '+447700900140' }]);
    await simulator.control('POST', '/state', { people: [...CUSTOMERS, ...COLLEAGUES].map(([name, phone]) => ({ phone: phone.slice(1), name })) });

    // The people with whom something goes wrong have names too.
    for (const [phone, name] of [['+447700900801', 'Sam Doyle'], ['+447700900802', 'Nora Quinn']]) {
        await admin.call('res.partner', 'write', [await admin.call('res.partner', 'search', [[['phone', '=', phone]]]), { name }]);
    }
    const partners = {};
    for (const [at, [name, phone, company]] of CUSTOMERS.entries()) {
        const [known] = await admin.call('res.partner', 'search', [[['phone', '=', phone]]]);
        partners[name] = known || await create('res.partner', { name, phone });
        await admin.call('res.partner', 'write', [[partners[name]], {
            ref: 'C-' + (1041 + at), street: (12 + at) + ' Sample Street', city: 'Bristol',
            email: name.toLowerCase().replace(/ .*/, '') + '@' + company.toLowerCase().replace(/[^a-z]+/g, '') + '.example',
        }]);
    }

    const now = Math.floor(Date.now() / 1000);
    const writes = async (message) => (await simulator.inbound({ provider: 'whapi', token: env.WHAPI_TOKEN, ...message })).id;
    const stored = (id) => until('the row of ' + id, () => db.row(
        'SELECT * FROM whatsapp_message WHERE configuration_id = $1 AND message_id = $2', [support, id]), 60, 100);
    const fresh = !await db.value("SELECT count(*)::int FROM whatsapp_message WHERE content LIKE '%blue armchair%'");
    if (fresh) {
        for (const [place, talk] of TALKS.entries()) {
            const begin = now - talk.days * DAY - (TALKS.length - place) * 600;
            for (const [turn, [who, what]] of talk.said.entries()) {
                const message = typeof what === 'string' ? { text: what } : what;
                const timestamp = begin + turn * 60;
                const id = await writes(who === 'me' ? { ...message, from_me: true, chat: number(talk.with), timestamp }
                    : { ...message, from: number(who), from_name: who, timestamp });
                await stored(id);
            }
        }
        // What was typed on the phone was read long ago.
        await until('the files of the messages', async () => !await db.value(
            "SELECT count(*)::int FROM whatsapp_message m JOIN whatsapp_media d ON d.id = m.media_id WHERE d.state = 'waiting'"), 60, 200);
        const group = '120363' + String(now).slice(-10) + '01@g.us';
        await simulator.control('POST', '/state', { groups: [{ id: group, name: 'Warehouse team', token: env.WHAPI_TOKEN,
            participants: COLLEAGUES.map(([, phone]) => phone.slice(1)) }] });
        for (const [turn, [name, text]] of [['Isabel Santos', 'The lorry for Bristol is loaded.'], ['Jonas Weber', 'Then I drive at two.'],
            ['Karim Diallo', 'Keys are at the desk.']].entries()) {
            await stored(await writes({ chat: group, from: number(name), from_name: name, text, timestamp: now - 5400 + turn * 60 }));
        }
        await db.rows("UPDATE whatsapp_group SET name = 'Warehouse team' WHERE group_id = $1 AND configuration_id = $2", [group, support]);
        // Answers that this Odoo sent.
        const uid = await demo.user.uid();
        for (const [name, body] of [['Ben Carter', 'Here it is again: invoice 2026/0311, due on Friday.'], ['David Kim', 'Great, the driver knows.']]) {
            await demo.bridge.result('message.send', { uid, configuration_id: support, to: number(name), type: 'text', text: { body } });
        }
        for (const talk of TALKS.filter(({ with: name }) => !['Chiara Rossi', 'Elena Petrova'].includes(name))) {
            await db.rows(`UPDATE whatsapp_chat SET unread_count = 0 WHERE configuration_id = $1 AND contact_id IN
                (SELECT id FROM whatsapp_contact WHERE phone = $2)`, [support, number(talk.with)]);
        }
    }
    const contact = (name) => db.value('SELECT id FROM whatsapp_contact WHERE configuration_id = $1 AND phone = $2', [support, number(name)]);
    for (const [name] of CUSTOMERS) {
        await until('the contact of ' + name, () => contact(name), 30);
    }
    return { support, meta, partners, number, contact, create, found, writes, stored, CUSTOMERS, COLLEAGUES };
}

module.exports = { scenery };
