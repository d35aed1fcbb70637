// A plain WhatsApp user sends each kind of content from the Send wizard; what the account cannot do is greyed out.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const zlib = require('node:zlib');
const { withBrowser } = require('../lib/browser.js');
const { until } = require('../lib/suite.js');
const { unique, person: somebody, ACCEPTED } = require('../lib/scene.js');

/** A grey picture of 32 x 32 that no earlier run sent. */
function png() {
    const chunk = (type, data) => {
        const body = Buffer.concat([Buffer.from(type), data]);
        const length = Buffer.alloc(4);
        length.writeUInt32BE(data.length);
        const crc = Buffer.alloc(4);
        crc.writeUInt32BE(zlib.crc32 ? zlib.crc32(body) : crc32(body));
        return Buffer.concat([length, body, crc]);
    };
    const head = Buffer.alloc(13);
    head.writeUInt32BE(32, 0);
    head.writeUInt32BE(32, 4);
    head.set([8, 0, 0, 0, 0], 8); // 8 bits of grey
    const rows = Buffer.concat(Array.from({ length: 32 }, () => Buffer.concat([Buffer.from([0]), crypto.randomBytes(32)])));
    return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
        chunk('IHDR', head), chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

function crc32(bytes) {
    let crc = ~0;
    for (const byte of bytes) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) {
            crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    return ~crc >>> 0;
}

const pdf = () => Buffer.from('%PDF-1.4\n% ' + crypto.randomUUID() + '\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_USER_LOGIN', 'ODOO_USER_PASSWORD', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');
    const { env } = demo;

    await withBrowser(suite, demo, shots, async (person) => {
        const { page } = person;

        /** A form that is being made anew loses a click: it is repeated until the choice stays. */
        const choose = (value) => until(value + ' is chosen', async () => {
            const option = page.locator('.modal input[data-value="' + value + '"]').first();
            if (!await option.isChecked()) {
                await option.evaluate((el) => el.click());
            }
            await page.waitForTimeout(300);
            return option.isChecked();
        }, 20, 100);
        const openWizard = async (kind) => {
            await person.action('whatsapp_integration.whatsapp_message_action'); // away from what an earlier check left
            await person.menu('WhatsApp', 'Send Message');
            await person.dialog();
            await choose(kind);
        };
        const attach = (name, mimeType, buffer) =>
            page.locator('.modal .o_field_widget[name="file"] input[type="file"]').first().setInputFiles({ name, mimeType, buffer });
        const tick = (field) => page.locator('.modal .o_field_widget[name="' + field + '"] input').first().evaluate((el) => el.click());
        const newest = (number) => demo.db.rows(
            'SELECT m.*, d.checksum, d.mimetype FROM whatsapp_message m LEFT JOIN whatsapp_media d ON d.id = m.media_id ' +
            'JOIN whatsapp_contact c ON c.id = m.contact_id WHERE c.phone = $1 ORDER BY m.id DESC LIMIT 1', [number]);

        /** Sends and returns the row once the provider has accepted it. */
        const send = async (number) => {
            await person.button('action_send');
            await person.noDialog();
            return until('the message is accepted', async () => {
                const [row] = await newest(number);
                if (row && row.status === 'failed') {
                    throw new Error('failed: ' + row.error_code + ' ' + row.error_message);
                }
                return row && ACCEPTED.includes(row.status) && row;
            }, 30, 200);
        };
        // Choosing a kind makes other fields: a text that went into one that was just leaving is typed again.
        const fillAll = (values) => until('the form holds what was typed', async () => {
            for (const [field, value] of Object.entries(values)) {
                await person.fill(field, value);
            }
            await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => setTimeout(done, 50)); }));
            for (const [field, value] of Object.entries(values)) {
                const held = await (await person.input(field)).inputValue();
                if (held !== value && Number(held) !== Number(value)) { // 51.5007 is shown as 51.5007000
                    return false;
                }
            }
            return true;
        });

        await suite.step('log in as a plain WhatsApp user', () => person.login(env.ODOO_USER_LOGIN, env.ODOO_USER_PASSWORD));

        const texts = [
            ['text', async () => { await fillAll({ text: unique('No preview https://example.com') }); await tick('preview'); }, () => true],
            ['location', () => fillAll({ latitude: '51.5007', longitude: '-0.1246', place_name: 'The pier' }),
                (row) => assert.equal(row.location, '51.5007,-0.1246')],
            ['contact', () => fillAll({ card_name: 'Ada Lovelace', card_phone: '+447700900123' }),
                (row) => assert.match(row.extra, /Ada Lovelace/)],
            ['poll', () => fillAll({ poll_title: 'When shall we deliver?', poll_options: 'Monday\nTuesday' }),
                (row) => assert.deepEqual(JSON.parse(row.extra).poll.options, ['Monday', 'Tuesday'])],
            ['interactive', () => fillAll({ text: 'Which colour?', interactive_options: 'Red\nBlue', interactive_footer: 'Thank you' }),
                (row) => assert.equal(JSON.parse(row.extra).interactive.options.length, 2)],
        ];
        for (const [kind, fill, look] of texts) {
            await suite.check('the wizard sends: ' + kind, async () => {
                const number = somebody();
                await openWizard(kind);
                await person.fill('number', number);
                await fill();
                await person.shot('send-' + kind);
                const row = await send(number);
                assert.equal(row.message_type, kind);
                look(row);
            });
        }

        await suite.check('the wizard sends: a list to choose from', async () => {
            const number = somebody();
            await openWizard('interactive');
            await person.fill('number', number);
            await choose('list');
            await fillAll({ text: 'What is it about?', interactive_options: 'Delivery | where it is\nInvoice', interactive_button: 'Topics' });
            await person.shot('send-list');
            const row = await send(number);
            const { interactive } = JSON.parse(row.extra);
            assert.equal(interactive.kind, 'list');
            assert.deepEqual(interactive.options.map(({ title, description }) => [title, description || '']),
                [['Delivery', 'where it is'], ['Invoice', '']]);
        });

        const ogg = Buffer.concat([Buffer.from('OggS\0\x02'), Buffer.alloc(22), Buffer.from('\x01\x13OpusHead\x01\x01'), crypto.randomBytes(64)]);
        const mp4 = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from('ftypmp42\0\0\0\0mp42isom'), crypto.randomBytes(64)]);
        // 512 × 512, as stickers must be.
        const webp = Buffer.concat([Buffer.from('RIFF'), Buffer.from([26, 0, 0, 0]), Buffer.from('WEBPVP8L'), Buffer.from([13, 0, 0, 0]),
            Buffer.from([0x2f, 0xff, 0xc1, 0x7f, 0x10, 7, 0x10, 0x11, 0x11, 0x88, 0x88, 0xfe, 7, 0])]);
        const files = [
            ['image', 'photo.png', 'image/png', png(), 'The new model'],
            ['document', 'offer.pdf', 'application/pdf', pdf(), 'Our offer'],
            ['video', 'clip.mp4', 'video/mp4', mp4, 'How to open it'],
            ['gif', 'wave.mp4', 'video/mp4', Buffer.concat([mp4, Buffer.from('gif')]), 'Hello'],
            ['audio', 'song.ogg', 'audio/ogg', ogg, null],
            ['voice', 'memo.ogg', 'audio/ogg', Buffer.concat([ogg, Buffer.from('voice')]), null],
            ['sticker', 'smile.webp', 'image/webp', webp, null],
        ];
        for (const [kind, name, mimetype, bytes, caption] of files) {
            await suite.check('the wizard sends a file: ' + kind, async () => {
                const number = somebody();
                await openWizard(kind);
                await person.fill('number', number);
                await attach(name, mimetype, bytes);
                if (caption) {
                    await person.fill('caption', caption);
                } else {
                    assert.equal(await page.locator('.modal .o_field_widget[name="caption"]:visible').count(), 0, 'a caption is offered');
                }
                await person.shot('send-' + kind);
                const row = await send(number);
                assert.equal(row.message_type, kind);
                assert.equal(row.caption, caption);
                assert.equal(row.checksum, crypto.createHash('sha256').update(bytes).digest('hex'), 'other bytes were stored');
            });
        }

        await suite.check('an answer quotes the message it answers', async () => {
            const number = somebody();
            const question = unique('Is it in stock?');
            await demo.simulator.inbound({ provider: 'whapi', token: env.WHAPI_TOKEN, from: number, from_name: 'Ada', type: 'text', text: question });
            const asked = await until('the question', async () =>
                (await demo.db.rows('SELECT * FROM whatsapp_message WHERE content = $1', [question]))[0], 30);
            await person.action('whatsapp_integration.whatsapp_message_action', { id: asked.id, model: 'whatsapp.message' });
            await person.button('action_reply');
            await person.dialog();
            await person.fill('text', unique('Yes it is.'));
            const row = await send(number);
            assert.equal(row.reply_to_id, asked.id);
            await person.shot('send-reply');
        });

        await suite.check('what the account cannot do is greyed out and named', async () => {
            const answer = await demo.bridge.result('configuration.capabilities',
                { uid: await demo.user.uid(), configuration_id: Number(env.WHAPI_CONFIGURATION_ID) });
            const cannot = Object.entries(answer.data.capabilities)
                .filter(([name, can]) => name.startsWith('send_') && !can).map(([name]) => name.slice('send_'.length));
            assert.ok(cannot.length, 'this account can do everything: nothing to look at');
            await person.menu('WhatsApp', 'Send Message');
            await person.dialog();
            for (const kind of cannot) {
                const item = page.locator('.modal .o_radio_item').filter({ has: page.locator('input[data-value="' + kind + '"]') });
                const style = await item.evaluate((el) => {
                    const { opacity, pointerEvents } = getComputedStyle(el);
                    return { opacity, pointerEvents };
                });
                assert.deepEqual(style, { opacity: '0.4', pointerEvents: 'none' }, kind);
            }
            assert.ok(await page.locator('.modal').getByText(/cannot send:/).count());
            await person.shot('send-cannot');
            await page.locator('.modal-footer button.btn-secondary').last().click();
            return cannot.join(', ');
        });

        await suite.check('a template at Meta, with its values and the 24 hours as a hint', async () => {
            const account = Number(env.META_CONFIGURATION_ID);
            const [{ name }] = await demo.admin.call('whatsapp.configuration', 'read', [[account], ['name']]);
            const values = { name: 'shipped', language: 'en_GB', kind: 'provider', configuration_id: account };
            const known = await demo.admin.call('whatsapp.message.template', 'search',
                [Object.entries(values).map(([field, value]) => [field, '=', value])]);
            if (!known.length) {
                await demo.admin.call('whatsapp.message.template', 'create', [{ ...values, state: 'approved',
                    components: JSON.stringify([{ type: 'BODY', text: 'Your order {{1}} has shipped.' }]) }]);
            }
            await person.login(env.ODOO_LOGIN, env.ODOO_PASSWORD);
            const number = somebody();
            await openWizard('text');
            await person.choose('configuration_id', name);
            await person.fill('number', number);
            await choose('template');
            await person.choose('template_id', 'shipped', 'shipped (en_GB)');
            await page.locator('.modal .alert:visible').filter({ hasText: /has not written for 24 hours/ }).first().waitFor();
            await page.locator('.modal').getByText('Your order {{1}} has shipped.').first().waitFor();
            await person.fill('template_values', 'A-1234');
            await person.shot('send-template');
            const row = await send(number);
            assert.equal(row.message_type, 'template');
            assert.equal(row.content, 'shipped');
            assert.deepEqual(JSON.parse(row.extra).template.parameters.body, ['A-1234']);
        });

        await suite.check('the page raised no error', async () => {
            const ours = person.errors.filter((error) => !/selfie_segmentation/.test(error)); // missing in Debian's odoo-19
            assert.deepEqual(ours, []);
        });
    });
};
