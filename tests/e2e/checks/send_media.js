// Files by both doors: the route with an Odoo session, and the caller's own transaction.
'use strict';
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { until } = require('../lib/suite.js');
const { unique, person, serverAction, ACCEPTED } = require('../lib/scene.js');

const pdf = () => Buffer.from('%PDF-1.4\n% ' + crypto.randomUUID() + '\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');
const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

module.exports = async (suite, demo) => {
    demo.need('ODOO_USER_LOGIN', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID');

    const row = async (caption) => (await demo.db.rows(
        'SELECT m.*, d.checksum FROM whatsapp_message m LEFT JOIN whatsapp_media d ON d.id = m.media_id WHERE m.caption = $1', [caption]))[0];
    const accepted = (caption) => until('the file is accepted', async () => {
        const message = await row(caption);
        if (message && message.status === 'failed') {
            throw new Error('failed: ' + message.error_code + ' ' + message.error_message);
        }
        return message && ACCEPTED.includes(message.status) && message;
    }, 60, 200);
    const doorB = (to, bytes, caption) =>
        "env['whatsapp.core.service'].send_media_message(" + [to, bytes.toString('base64'), 'offer.pdf', 'document', caption]
            .map((value) => JSON.stringify(value)).join(', ') + ')';

    await suite.check('POST /whatsapp/send/media: the bytes arrive as they are', async () => {
        const bytes = pdf();
        const caption = unique('By the route');
        const answer = await demo.user.route('/whatsapp/send/media', {
            to: person(), media_data: bytes.toString('base64'), filename: 'offer.pdf', media_type: 'document', caption, wait_ms: 5000,
        });
        assert.equal(answer.success, true, JSON.stringify(answer));
        const message = await accepted(caption);
        assert.equal(message.id, answer.data.id);
        assert.equal(message.checksum, sha256(bytes));
    });

    await suite.check('POST /whatsapp/send/media: what is wrong is said, and nothing is stored', async () => {
        for (const [changes, kind] of [
            [{ media_data: '' }, 'invalid_content'],
            [{ media_type: 'banana' }, 'invalid_content'],
            [{ to: '' }, 'invalid_recipient'],
            [{ user_id: 1 }, 'access_denied'],
            [{ colour: 'red' }, 'invalid_content'],
        ]) {
            const caption = unique('Wrong');
            const answer = await demo.user.route('/whatsapp/send/media', {
                to: person(), media_data: pdf().toString('base64'), filename: 'a.pdf', media_type: 'document', caption, ...changes,
            });
            assert.equal(answer.success, false, JSON.stringify(changes));
            assert.equal(answer.error.details.kind, kind, JSON.stringify(changes));
            assert.equal(await row(caption), undefined);
        }
    });

    await suite.check('the transaction door: committed means sent, with the very bytes', async () => {
        const bytes = pdf();
        const caption = unique('In a transaction');
        await serverAction(demo, doorB(person(), bytes, caption));
        const message = await accepted(caption);
        assert.equal(message.checksum, sha256(bytes));
        assert.equal(await demo.db.value('SELECT count(*)::int FROM whatsapp_media_upload WHERE message_id = $1', [message.id]), 0,
            'the bytes are still in Odoo\'s table');
    });

    await suite.check('the transaction door: rolled back means never sent', async () => {
        const caption = unique('Rolled back');
        await assert.rejects(serverAction(demo, doorB(person(), pdf(), caption) + "\nraise UserError('no')"));
        const other = unique('After it');
        await serverAction(demo, doorB(person(), pdf(), other));
        await accepted(other);
        assert.equal(await row(caption), undefined);
    });
};
