/** @odoo-module ignore **/
// What the Inbox shows, worked out from what the server told: pure functions, no DOM, no requests.
(function () {
    'use strict';

    const DAY = 24 * 3600 * 1000;
    const SAME_RUN = 10 * 60 * 1000; // ms; later messages of one sender begin a new run
    const ICONS = {
        image: 'fa-camera',
        video: 'fa-video-camera',
        gif: 'fa-film',
        audio: 'fa-music',
        voice: 'fa-microphone',
        document: 'fa-file-text-o',
        sticker: 'fa-smile-o',
        location: 'fa-map-marker',
        contact: 'fa-user',
        poll: 'fa-bar-chart',
        template: 'fa-file-text-o',
        interactive: 'fa-hand-pointer-o',
        order: 'fa-shopping-cart',
        reaction: 'fa-heart-o',
        system: 'fa-info-circle',
        unknown: 'fa-question-circle-o',
    };

    /** @returns {Date|null} of the server's "2024-01-31 12:00:00", UTC */
    function parseTime(text) {
        return text ? new Date(text.replace(' ', 'T') + 'Z') : null;
    }

    /**
     * Words and times in the language and time zone of the user.
     * @param {Object} options {lang: 'en_US', tz: 'Europe/Berlin' or nothing, _t: translates, now: () => Date}
     */
    class Words {
        constructor({ lang, tz, _t, now }) {
            this._t = _t;
            this.now = now || (() => new Date());
            this.locale = (lang || 'en').split('@')[0].replace('_', '-');
            this.zone = tz || undefined;
            this.formats = new Map();
        }

        format(date, options) {
            const key = JSON.stringify(options);
            if (!this.formats.has(key)) {
                this.formats.set(key, this.formatter(options));
            }
            return this.formats.get(key).format(date);
        }

        formatter(options) {
            // a language or zone that the browser does not know
            for (const [locale, timeZone] of [[this.locale, this.zone], [this.locale], ['en', this.zone]]) {
                try {
                    return new Intl.DateTimeFormat(locale, Object.assign({ timeZone }, options));
                } catch (error) {
                    if (!(error instanceof RangeError)) {
                        throw error;
                    }
                }
            }
            return new Intl.DateTimeFormat('en', options);
        }

        clock(at) {
            const date = parseTime(at);
            return date ? this.format(date, { hour: '2-digit', minute: '2-digit' }) : '';
        }

        moment(at) {
            const date = parseTime(at);
            return date ? this.format(date, { dateStyle: 'medium', timeStyle: 'short' }) : '';
        }

        /** The same for all times of one day of the user's. */
        dayKey(date) {
            return this.format(date, { year: 'numeric', month: '2-digit', day: '2-digit' });
        }

        day(at) {
            const { _t } = this;
            const date = parseTime(at) || this.now();
            const now = this.now();
            if (this.dayKey(date) === this.dayKey(now)) {
                return _t('Today');
            }
            if (this.dayKey(date) === this.dayKey(new Date(now - DAY))) {
                return _t('Yesterday');
            }
            if (now - date < 6 * DAY && date < now) {
                return this.format(date, { weekday: 'long' });
            }
            return this.format(date, { dateStyle: 'long' });
        }

        /** In the list of chats: the time of today, else the day. */
        short(at) {
            const date = parseTime(at);
            if (!date) {
                return '';
            }
            const now = this.now();
            if (this.dayKey(date) === this.dayKey(now)) {
                return this.clock(at);
            }
            return now - date < 6 * DAY ? this.day(at) : this.format(date, { dateStyle: 'short' });
        }

        type(type) {
            const { _t } = this;
            return {
                image: _t('Photo'),
                video: _t('Video'),
                gif: _t('GIF'),
                audio: _t('Audio'),
                voice: _t('Voice message'),
                document: _t('Document'),
                sticker: _t('Sticker'),
                location: _t('Location'),
                contact: _t('Contact'),
                poll: _t('Poll'),
                template: _t('Template'),
                interactive: _t('Choice'),
                order: _t('Order'),
                reaction: _t('Reaction'),
                system: _t('Notice'),
                unknown: _t('Message that cannot be shown'),
            }[type] || '';
        }
    }

    /** How far a message of ours got: {icon, double, tone, title}; null for received ones. */
    function tick(message, _t) {
        if (!message.out) {
            return null;
        }
        switch (message.status) {
            case 'sent': return { icon: 'fa-check', title: _t('Sent') };
            case 'delivered': return { icon: 'fa-check', double: true, title: _t('Delivered') };
            case 'read': return { icon: 'fa-check', double: true, tone: 'read', title: _t('Read') };
            case 'played': return { icon: 'fa-check', double: true, tone: 'read', title: _t('Played') };
            case 'failed': return { icon: 'fa-exclamation-circle', tone: 'bad', title: _t('Not sent') };
            case 'uncertain': return { icon: 'fa-question-circle', tone: 'doubt', title: _t('Nobody knows yet whether it was sent') };
            case 'cancelled': return { icon: 'fa-ban', tone: 'bad', title: _t('Cancelled') };
            case 'deleted': return null;
            default: return { icon: 'fa-clock-o', title: _t('Waiting to be sent') };
        }
    }

    /** One line for the list of chats and for quotes: {icon, text, faint}. */
    function summary(message, words) {
        const { _t } = words;
        if (message.status === 'deleted') {
            return { icon: 'fa-ban', text: _t('This message was deleted'), faint: true };
        }
        if (message.type === 'reaction') {
            return { icon: null, text: message.text ? _t('Reacted') + ' ' + message.text : _t('Took a reaction back'), faint: true };
        }
        const icon = ICONS[message.type] || null;
        const name = message.media && message.media.name;
        return { icon, text: message.text || (message.type === 'document' && name) || words.type(message.type), faint: false };
    }

    /** @returns {string} one or two letters for a round picture */
    function initials(name) {
        const found = (name || '').match(/[\p{L}\p{N}]+/gu) || [];
        const named = found.filter((word) => /\p{L}/u.test(word));
        return (named.length ? named : []).slice(0, 2).map((word) => [...word][0].toUpperCase()).join('');
    }

    /** @returns {number} 0…7, the same for the same text: the colour of a person */
    function shade(text) {
        let sum = 0;
        for (const char of String(text || '')) {
            sum = (sum * 31 + char.codePointAt(0)) % 997;
        }
        return sum % 8;
    }

    const LINK = /\b(?:https?:\/\/|www\.)[^\s<>"'`]+/gi;

    /** Text in pieces, links apart: [{text} | {text, href}]. Only http and https become links. */
    function pieces(text) {
        const found = [];
        let end = 0;
        for (const match of (text || '').matchAll(LINK)) {
            const word = match[0].replace(/[.,;:!?)\]}…»”’]+$/u, '');
            let href;
            try {
                const url = new URL(/^https?:/i.test(word) ? word : 'https://' + word);
                href = /^https?:$/.test(url.protocol) && url.hostname.includes('.') && !url.username ? url.href : null;
            } catch (error) {
                href = null; // it only looked like one
            }
            if (!href) {
                continue;
            }
            if (match.index > end) {
                found.push({ text: text.slice(end, match.index) });
            }
            found.push({ text: word, href });
            end = match.index + word.length;
        }
        if (end < (text || '').length) {
            found.push({ text: text.slice(end) });
        }
        return found;
    }

    /** @returns {boolean} one to three emoji and nothing else: shown large */
    function isEmoji(text) {
        const trimmed = (text || '').trim();
        return trimmed.length > 0 && trimmed.length <= 24 &&
            /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\u200d|\ufe0f|\s)+$/u.test(trimmed) &&
            /\p{Extended_Pictographic}|[\u{1f1e6}-\u{1f1ff}]/u.test(trimmed) && !/^[\d#*\s]+$/.test(trimmed);
    }

    function bytes(count) {
        if (!count) {
            return '';
        }
        const units = ['B', 'kB', 'MB', 'GB'];
        let at = 0;
        let size = count;
        while (size >= 1000 && at < units.length - 1) {
            size /= 1000;
            at += 1;
        }
        return (at && size < 10 ? size.toFixed(1) : String(Math.round(size))) + ' ' + units[at];
    }

    function seconds(count) {
        const all = Math.max(0, Math.round(count || 0));
        return Math.floor(all / 60) + ':' + String(all % 60).padStart(2, '0');
    }

    const order = (a, b) => {
        const [one, two] = [a.at || '9', b.at || '9']; // without a time it is not sent yet: last
        return one < two ? -1 : one > two ? 1 : a.id - b.id;
    };

    /**
     * What is on the screen after a re-read of the newest messages (`answer.page`) and of `asked`, those shown
     * already: {messages, reset}. Rows that were asked for and did not come are gone. When the newest page does
     * not touch what is shown, something may lie between: then only the page stays, and `reset` is true.
     */
    function merged(shown, answer, asked) {
        const known = new Set(shown.filter((message) => !message.local).map((message) => message.id));
        const page = new Set(answer.page);
        const reset = answer.more && known.size > 0 && !answer.page.some((id) => known.has(id));
        if (reset || !known.size) {
            return { messages: answer.messages.filter((message) => page.has(message.id)).sort(order), reset };
        }
        const fresh = new Set(answer.messages.map((message) => message.id));
        const gone = new Set(asked);
        const kept = shown.filter((message) => !fresh.has(message.id) && !gone.has(message.id));
        return { messages: kept.concat(answer.messages).sort(order), reset };
    }

    /**
     * What stands in a conversation, from top to bottom: {key, kind, …} with kind day, unread, note or bubble.
     * @param {Object} options {group: names of senders are shown, unread: id of the first unread message or null}
     */
    function rows(messages, { group, unread, words }) {
        const found = [];
        let day = null;
        let former = null;
        for (const message of messages) {
            const date = parseTime(message.at) || words.now();
            const key = words.dayKey(date);
            if (key !== day) {
                day = key;
                former = null;
                found.push({ key: 'day ' + key, kind: 'day', text: words.day(message.at) });
            }
            if (unread !== null && message.id === unread) {
                former = null;
                found.push({ key: 'unread', kind: 'unread' });
            }
            if (message.type === 'system' || message.type === 'reaction') {
                former = null;
                if (message.text || message.type === 'system') {
                    found.push({ key: 'm' + message.id, kind: 'note', message });
                }
                continue;
            }
            const first = !former || former.out !== message.out || former.sender_id !== message.sender_id ||
                date - (parseTime(former.at) || date) > SAME_RUN;
            found.push({ key: 'm' + message.id, kind: 'bubble', message, first, named: group && !message.out && first });
            former = message;
        }
        return found;
    }

    /** Latitude, longitude, name and address of a location, from wherever they were kept; null without. */
    function place(message) {
        const extra = message.extra || {};
        const given = extra.location && typeof extra.location === 'object' ? extra.location : extra;
        const pair = /^\s*(-?\d+(?:\.\d+)?)\s*[,; ]\s*(-?\d+(?:\.\d+)?)/.exec(message.location || '');
        const latitude = pair ? Number(pair[1]) : Number(given.latitude);
        const longitude = pair ? Number(pair[2]) : Number(given.longitude);
        if (!Number.isFinite(latitude) || !Number.isFinite(longitude) || Math.abs(latitude) > 90 || Math.abs(longitude) > 180) {
            return null;
        }
        const text = (value) => (typeof value === 'string' ? value : '');
        return { latitude, longitude, name: text(given.name), address: text(given.address) };
    }

    window.WhatsappInboxModel = {
        Words, parseTime, tick, summary, initials, shade, pieces, isEmoji, bytes, seconds, order, merged, rows, place, ICONS,
    };
})();
