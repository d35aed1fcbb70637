/** @odoo-module ignore **/
// Cards, polls, choices and orders out of a message's further data, which each provider words in its own way.
// Pure functions; whatever is not as expected is left out.
(function () {
    'use strict';

    const MANY = 50; // entries shown of one list

    const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
    const list = (value) => (Array.isArray(value) ? value.slice(0, MANY) : []);
    const object = (value) => (isObject(value) ? value : {});
    const word = (...values) => {
        for (const value of values) {
            if (typeof value === 'string' && value.trim()) {
                return value.trim();
            }
            if (typeof value === 'number' && Number.isFinite(value)) {
                return String(value);
            }
        }
        return '';
    };
    /** A string, or the `text` of an object. */
    const words = (value) => word(value, object(value).text, object(value).title, object(value).body);

    /** Name and numbers of a vCard's text. */
    function vcard(text) {
        const lines = typeof text === 'string' ? text.replace(/\r?\n[ \t]/g, '').split(/\r?\n/) : [];
        const value = (line) => line.slice(line.indexOf(':') + 1).replace(/\\([,;\\])/g, '$1').trim();
        const name = lines.find((line) => /^FN[;:]/i.test(line));
        return {
            name: name ? value(name) : '',
            phones: lines.filter((line) => /^(?:item\d+\.)?TEL[;:]/i.test(line)).map(value).filter(Boolean).slice(0, 5),
        };
    }

    /** [{name, phones}] */
    function cards(message) {
        const extra = object(message.extra);
        const given = list(extra.contacts).length ? list(extra.contacts) : [extra.contact || extra.vcard].filter(Boolean);
        const found = given.map((item) => {
            const card = isObject(item) ? item : { vcard: item };
            const read = vcard(card.vcard);
            const phones = list(card.phones).map((phone) => word(phone, object(phone).phone, object(phone).number, object(phone).wa_id));
            const name = object(card.name);
            return {
                name: word(card.name, name.formatted_name, name.first_name, card.displayName, card.formattedName, read.name),
                phones: [...new Set(phones.concat(word(card.phone), read.phones))].filter(Boolean).slice(0, 5),
            };
        }).filter((card) => card.name || card.phones.length);
        return found.length ? found : [{ name: message.text || '', phones: [] }];
    }

    /** {title, options: [{name, votes}]} */
    function poll(message) {
        const given = object(object(message.extra).poll);
        const results = list(given.results);
        const options = list(given.options).length ? list(given.options) : results;
        return {
            title: word(given.title, given.name, given.question, message.text),
            options: options.map((option) => {
                const name = word(option, object(option).name, object(option).title, object(option).text);
                const result = object(results.find((row) => word(object(row).name) === name));
                const votes = [object(option).votes, object(option).count, result.count, result.votes]
                    .map((value) => (Array.isArray(value) ? value.length : value)).find((value) => Number.isInteger(value));
                return { name, votes: votes || 0 };
            }).filter((option) => option.name),
        };
    }

    /** {header, body, footer, options: [text]} of buttons, lists and templates. */
    function choice(message) {
        const extra = object(message.extra);
        const given = object(extra.interactive || extra.template || extra.list || extra.buttons);
        const action = object(given.action);
        const rows = (sections) => list(sections).flatMap((section) => list(object(section).rows));
        const options = [...list(given.buttons), ...list(action.buttons), ...list(given.options), ...rows(given.sections),
            ...rows(action.sections), ...rows(object(action.list).sections)];
        return {
            header: words(given.header),
            body: message.text || words(given.body) || words(given.text),
            footer: words(given.footer),
            options: options.map((option) => word(option, object(option).title, object(option).text, words(object(option).reply)))
                .filter(Boolean).slice(0, MANY),
        };
    }

    /** {title, items: [{name, amount}], total} */
    function order(message) {
        const given = object(object(message.extra).order);
        const price = (value, currency) => word(value) && [word(value), word(currency)].filter(Boolean).join(' ');
        const items = [given.items, given.product_items, given.products].map(list).find((found) => found.length) || [];
        return {
            title: word(given.title),
            items: items.map(object).map((item) => {
                const count = word(item.quantity);
                const cost = price(item.price || item.item_price, item.currency || given.currency);
                return {
                    name: word(item.name, item.title, item.product_retailer_id, item.id),
                    amount: [count && count + ' ×', cost].filter(Boolean).join(' '),
                };
            }).filter((item) => item.name),
            total: price(given.total_price || given.total, given.currency) || '',
        };
    }

    window.WhatsappInboxExtra = { cards, poll, choice, order, vcard };
})();
