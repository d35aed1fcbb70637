// A plain WhatsApp user reads and answers in the Inbox while people write: everything arrives by itself.
'use strict';
const assert = require('node:assert/strict');
const { withBrowser } = require('../lib/browser.js');
const { sleep, until } = require('../lib/suite.js');
const { unique, order, person: fresh, messages } = require('../lib/scene.js');

const BUS = 20; // s; until the browser's bus is connected
const HINTED = 10; // s; well below the 30 s after which the screen re-reads by itself
const FETCHED = 20; // s; a file comes after its message
const NOT_SHOWN = 2500; // ms; a hint needs a tenth of it

module.exports = async (suite, demo, { shots }) => {
    demo.need('ODOO_USER_LOGIN', 'ODOO_USER_PASSWORD', 'SIMULATOR_URL', 'WHAPI_CONFIGURATION_ID', 'WHAPI_TOKEN');
    const { db, env, simulator } = demo;
    const account = Number(env.WHAPI_CONFIGURATION_ID);
    const writer = fresh();
    const name = 'Priya Nair ' + writer.slice(-4);
    const chatId = writer.slice(1) + '@s.whatsapp.net';
    /** That person writes; the provider's id of the message. */
    const writes = async (message) => (await simulator.inbound({ provider: 'whapi', token: env.WHAPI_TOKEN, from: writer, from_name: name, ...message })).id;
    const unread = () => db.value('SELECT unread_count FROM whatsapp_chat WHERE configuration_id = $1 AND chat_id = $2', [account, chatId]);
    const rowOf = (id) => until('the row of ' + id, () => db.row('SELECT * FROM whatsapp_message WHERE configuration_id = $1 AND message_id = $2', [account, id]));
    const restore = [];

    await withBrowser(suite, demo, shots, async (person) => {
        const { page } = person;
        const inbox = async (on = page) => {
            await on.goto('about:blank');
            await on.goto(env.ODOO_URL + (person.series < 17 ? '/web#action=whatsapp_integration.whatsapp_inbox_action' : '/odoo/action-whatsapp_integration.whatsapp_inbox_action'));
            await on.waitForSelector('.o_wa_inbox .o_wa_side');
        };
        /** In the list: the chat of our person, or those that show `words`. */
        const chat = (words = name, on = page) => on.locator('.o_wa_chat').filter(words === name
            ? { has: on.locator('.o_wa_name', { hasText: name }) } : { hasText: words });
        const bubble = (text) => page.locator('.o_wa_row').filter({ hasText: text });
        const row = (id) => page.locator('.o_wa_row[data-id="' + id + '"]');
        const shown = (what, look, seconds = HINTED) => until(what + ' on the screen', look, seconds, 20);
        /** What the user types, sent with Enter. */
        const say = async (text) => {
            await page.fill('.o_wa_input', text);
            await page.press('.o_wa_input', 'Enter');
        };
        const ticks = async (text) => (await bubble(text).count()) ? bubble(text).last().locator('.o_wa_tick').getAttribute('data-status') : '';

        await suite.step('log in as a plain WhatsApp user: the app opens with the Inbox', async () => {
            await person.login(env.ODOO_USER_LOGIN, env.ODOO_USER_PASSWORD);
            await person.menu('WhatsApp', 'Inbox');
            await page.waitForSelector('.o_wa_inbox .o_wa_chats');
            await inbox();
        });

        const hello = order('Is the blue model in stock?');
        let first;
        await suite.step('a chat that begins appears by itself, with its text and count', async () => {
            await writes({ text: order('Good morning!') });
            await shown('the chat', () => chat().count(), BUS + HINTED); // the bus may be connecting
            first = await writes({ text: hello });
            await shown('the newest text', () => chat().filter({ hasText: hello }).count());
            await shown('the count', async () => await chat().locator('.o_wa_badge').innerText() === '2');
            assert.equal(await unread(), 2);
        });

        let second;
        await suite.step('opened by keyboard it is marked as read, and the provider is told', async () => {
            second = await page.context().newPage();
            await inbox(second);
            await shown('the count in another window', () => chat(name, second).locator('.o_wa_badge').count(), BUS);
            await page.bringToFront();
            const mark = await simulator.mark();
            await page.focus('.o_wa_search');
            await page.keyboard.press('ArrowDown');
            await until('the chat to be chosen', async () => {
                if ((await page.evaluate(() => document.activeElement.textContent)).includes(name)) {
                    return true;
                }
                await page.keyboard.press('ArrowDown');
                return false;
            });
            await page.keyboard.press('Enter');
            await shown('the text in the conversation', () => bubble(hello).count());
            await until('nothing is unread in the database', async () => await unread() === 0, HINTED);
            await until('the provider is told of the newest', async () => (await simulator.requests(mark))
                .some(({ method, path }) => method === 'PUT' && path.endsWith('/messages/' + first)), HINTED);
            assert.equal((await rowOf(first)).status, 'read');
            await shown('no count any more', async () => !await chat().locator('.o_wa_badge').count());
            await shown('none in the other window', async () => !await chat(name, second).locator('.o_wa_badge').count());
            await second.close();
        });

        await suite.step('a text arrives while the chat is open, and is read at once', async () => {
            const text = order('I saw it here:');
            const id = await writes({ text: text + ' https://example.com/a?b=1&c=<i> <img src=x onerror=window.hurt=1>' });
            await shown('the text', () => bubble(text).count());
            assert.equal(await bubble(text).locator('a').getAttribute('href'), 'https://example.com/a?b=1&c=');
            assert.equal(await bubble(text).locator('img').count(), 0, 'a text became HTML');
            assert.equal(await page.evaluate(() => window.hurt), undefined);
            await until('it is read', async () => (await rowOf(id)).status === 'read', HINTED);
        });

        await suite.check('negative control: without a hint nothing is shown, until the window is looked at again', async () => {
            await page.evaluate(() => window.dispatchEvent(new Event('focus')));
            await sleep(1500); // that re-read is over; the next comes in 30 s
            const target = await rowOf(first);
            const text = unique('silently');
            await db.rows('UPDATE whatsapp_message SET content = $2 WHERE id = $1', [target.id, text]);
            restore.push(() => db.rows('UPDATE whatsapp_message SET content = $2 WHERE id = $1', [target.id, hello]));
            await sleep(NOT_SHOWN);
            assert.equal(await bubble(text).count(), 0, 'shown without a hint: the other checks prove nothing');
            await page.evaluate(() => window.dispatchEvent(new Event('focus')));
            await shown('the change', () => bubble(text).count());
            await restore.pop()();
            await page.evaluate(() => window.dispatchEvent(new Event('focus')));
            await shown('the former text', () => bubble(hello).count());
        });

        await suite.check('a picture arrives, small, and opens in full size', async () => {
            const caption = order('This one.');
            const { id } = await rowOf(await writes({ type: 'image', caption }));
            await shown('the caption', () => row(id).getByText(caption).count());
            await shown('the picture', () => row(id).locator('.o_wa_image img').evaluate((img) => img.complete && img.naturalWidth > 0), FETCHED);
            await row(id).locator('.o_wa_image').click();
            await shown('the picture in full size', () => page.locator('.o_wa_look img').evaluate((img) => img.complete && img.naturalWidth > 0));
            await page.keyboard.press('Escape');
            assert.equal(await page.locator('.o_wa_look').count(), 0);
        });

        await suite.check('a voice message arrives and can be played', async () => {
            const { id } = await rowOf(await writes({ type: 'voice' }));
            await shown('the player', () => row(id).locator('audio').count(), FETCHED);
            await shown('the sound', () => row(id).locator('audio').evaluate((audio) => audio.readyState > 0 && audio.duration > 0), FETCHED);
        });

        await suite.check('a document, a location, a card and a poll are readable', async () => {
            const file = await rowOf(await writes({ type: 'document', media: { filename: 'Invoice 118.pdf' } }));
            const place = await rowOf(await writes({ type: 'location', location: { latitude: 51.5, longitude: -0.12, name: 'Depot 4', address: '1 Sample Street' } }));
            const card = await rowOf(await writes({ type: 'contact', contact: { name: 'Warehouse Desk', phone: '+447700900456' } }));
            const poll = await rowOf(await writes({ type: 'poll', poll: { title: 'Which slot?', options: ['Morning', 'Noon'] } }));
            await shown('the document', () => row(file.id).locator('a[href*="/whatsapp/media/"]').filter({ hasText: 'Invoice 118.pdf' }).count(), FETCHED);
            await shown('the location', () => row(place.id).locator('a[href*="mlat=51.5"]').filter({ hasText: 'Depot 4' }).count());
            await shown('the card', () => row(card.id).getByText('Warehouse Desk').count());
            await shown('the poll', () => row(poll.id).getByText('Noon').count());
        });

        await suite.check('a reaction hangs on its message, is changed and taken back', async () => {
            const { id } = await rowOf(first);
            await writes({ type: 'reaction', target: first, emoji: '👍' });
            await shown('the reaction', () => row(id).locator('.o_wa_reaction').filter({ hasText: '👍' }).count());
            await writes({ type: 'reaction', target: first, emoji: '🎉' });
            await shown('the other one alone', async () => (await row(id).locator('.o_wa_reaction').allInnerTexts()).join() === '🎉');
            await person.shot('inbox-reaction');
            await writes({ type: 'reaction', target: first });
            await shown('none', async () => !await row(id).locator('.o_wa_reaction').count());
        });

        await suite.check('an edit shows the new text, a click the former one', async () => {
            const [before, after] = [order('I need two of it.'), order('I need three of it.')];
            const target = await writes({ text: before });
            const { id } = await rowOf(target);
            await shown('the text', () => bubble(before).count());
            await writes({ type: 'edit', target, text: after });
            await shown('the new text', () => row(id).getByText(after).count());
            await row(id).locator('.o_wa_edited').click();
            await shown('the former text', () => row(id).locator('.o_wa_former').getByText(before).count());
        });

        await suite.check('a deletion leaves a placeholder', async () => {
            const text = order('Wrong window.');
            const target = await writes({ text });
            const { id } = await rowOf(target);
            await shown('the text', () => bubble(text).count());
            await writes({ type: 'delete', target });
            await shown('the placeholder', () => row(id).getByText('This message was deleted').count());
            assert.equal(await bubble(text).count(), 0);
        });

        const answer = order('We keep one for you.');
        await suite.step('an answer is sent with Enter and gets its ticks', async () => {
            const mark = await simulator.mark();
            await page.fill('.o_wa_input', 'Certainly.');
            await page.press('.o_wa_input', 'Shift+Enter');
            await page.keyboard.type(answer);
            await page.press('.o_wa_input', 'Enter');
            assert.equal(await page.inputValue('.o_wa_input'), '');
            await shown('the answer', () => bubble(answer).count());
            const seen = [];
            await shown('the ticks of a read message', async () => {
                const word = await ticks(answer);
                if (word && word !== seen[seen.length - 1]) {
                    seen.push(word);
                }
                return word === 'read';
            }, 20);
            const sent = await simulator.texts(mark, answer);
            assert.equal(sent.length, 1);
            assert.equal(sent[0].text, 'Certainly.\n' + answer);
            assert.equal((await bubble(answer).count()), 1, 'it is shown twice');
            return seen.join(' → ');
        });

        await suite.check('an answer quotes a message; the quote leads to it', async () => {
            const text = order('Yes, it is.');
            const { id } = await rowOf(first);
            await row(id).hover();
            await row(id).locator('.o_wa_menu button').first().click();
            await page.waitForSelector('.o_wa_replying .o_wa_quote');
            await say(text);
            await shown('the quote', () => bubble(text).locator('.o_wa_quote').filter({ hasText: hello }).count());
            const [sent] = await until('the row', () => messages(demo, text).then((found) => found.length && found));
            assert.equal(sent.reply_to_id, id);
            await shown('it is stored', () => row(sent.id).count());
            await row(sent.id).locator('.o_wa_quote').click();
            await shown('the quoted message', () => row(id).evaluate((el) => el.classList.contains('o_wa_flash')));
        });

        await suite.check('an answer that gets lost is in the box again; sent anew it goes out once', async () => {
            const text = order('Until Friday.');
            const mark = await simulator.mark();
            await page.route('**/inbox_send*', async (route) => {
                await route.fetch();
                await route.abort();
            }, { times: 1 });
            await say(text);
            await shown('the reason', () => page.locator('.o_wa_error:visible').count());
            assert.equal(await page.inputValue('.o_wa_input'), text);
            await person.shot('inbox-not-sent');
            await page.press('.o_wa_input', 'Enter');
            await shown('it is read', async () => await ticks(text) === 'read', 20);
            assert.equal((await messages(demo, text)).length, 1);
            assert.equal((await simulator.texts(mark, text)).length, 1);
            assert.equal(await page.locator('.o_wa_error:visible').count(), 0);
        });

        await suite.check('a group names who writes; filters and search find chats', async () => {
            const text = order('Who drives today?');
            const subject = order('Drivers.');
            const id = '1203630' + String(Date.now()).slice(-11) + '@g.us';
            await writes({ chat: id, text });
            await shown('the group', () => chat(text).count());
            await db.rows('UPDATE whatsapp_group SET name = $2 WHERE group_id = $1', [id, subject]);
            await page.click('[data-filter=groups]');
            await shown('only groups', async () => await chat(subject).count() && !await chat(hello).count() && !await chat(answer).count());
            await chat(subject).click();
            await shown('the sender', () => bubble(text).locator('.o_wa_sender').filter({ hasText: name }).count());
            await page.click('[data-filter=groups]');
            await page.fill('.o_wa_search', writer.slice(1, 6) + ' ' + writer.slice(6));
            await shown('the person by number', async () => await chat().count() === 1 && await page.locator('.o_wa_chat').count() === 1);
            await page.fill('.o_wa_search', '');
            await shown('all chats', async () => await page.locator('.o_wa_chat').count() > 1);
        });

        await suite.check('in a narrow window list and conversation take turns', async () => {
            await page.setViewportSize({ width: 480, height: 720 });
            await inbox();
            await shown('the list alone', async () => await chat().isVisible() && !await page.locator('.o_wa_log').isVisible());
            await chat().click();
            await shown('the conversation alone', async () => await bubble(answer).first().isVisible() && !await chat().isVisible());
            await person.shot('inbox-narrow');
            await page.locator('.o_wa_back').click();
            await shown('the list again', () => chat().isVisible());
        });
        await page.setViewportSize({ width: 1280, height: 720 });

        await suite.check('from a partner to its chats, and from the list of chats to the Inbox', async () => {
            const contact = await db.row('SELECT id FROM whatsapp_contact WHERE configuration_id = $1 AND contact_id = $2', [account, chatId]);
            // Two partners have the number: with one alone the daemon links by itself, once a minute.
            const [partner, other] = await demo.admin.call('res.partner', 'create', [[{ name, phone: writer }, { name: name + ' & Sons', phone: writer }]]);
            restore.push(() => demo.admin.call('res.partner', 'unlink', [[partner, other]]));
            await person.action('whatsapp_integration.whatsapp_contact_action', { id: contact.id, model: 'whatsapp.contact' });
            const choices = page.locator('.o_form_view .o_data_row').filter({ has: page.locator('button[name=action_whatsapp_link]:visible') });
            await shown('both partners', async () => await choices.count() === 2);
            await choices.filter({ hasNotText: '& Sons' }).locator('button[name=action_whatsapp_link]').click();
            await until('the link', async () => await db.value('SELECT partner_id FROM whatsapp_contact WHERE id = $1', [contact.id]) === partner, HINTED);
            await person.action('base.action_partner_form', { id: partner, model: 'res.partner' });
            await person.button('action_whatsapp_inbox');
            await shown('the chat of the partner', async () => await chat().count() === 1 && await page.locator('.o_wa_chat').count() === 1);
            await shown('opened at once', () => bubble(answer).count());
            await person.action('whatsapp_integration.whatsapp_chat_action');
            await person.row(name);
            await shown('the chat in the Inbox', () => bubble(answer).count());
            await person.shot('inbox');
        });

        await suite.check('the page had no error', async () => assert.deepEqual(person.errors, []));
    }).finally(async () => {
        for (const undo of restore.reverse()) {
            await undo();
        }
    });
};
