/** @odoo-module ignore **/
// The conversation of the Inbox: reads pages, keeps the place while messages come and change, jumps to quotes.
(function () {
    'use strict';

    const model = window.WhatsappInboxModel;
    const { Painter, h, icon } = window.WhatsappInboxPainter;
    const NEAR = 400;       // px from the top at which older messages are read
    const AT_END = 60;      // px from the end within which new messages are followed
    const JUMP_PAGES = 15;  // pages of 200 that are read to reach a quoted message
    const FLASH = 1600;     // ms

    /** @param {Object} inbox {words, rpc, failed(error), fetchAgain, look, details, reply(message), seen()} */
    class Thread {
        constructor(inbox) {
            this.inbox = inbox;
            this._t = inbox.words._t;
            this.painter = new Painter({
                words: inbox.words,
                jump: (id) => this.jump(id),
                revisions: (message, place) => this.revisions(message, place),
                fetchAgain: inbox.fetchAgain,
                look: inbox.look,
                open: inbox.details,
                reply: inbox.reply,
            });
            this.chat = null;
            this.messages = [];
            this.local = [];   // being sent: {key, chat, text, quoted, after}
            this.rows = new Map();
            this.build();
        }

        build() {
            this.log = h('div.o_wa_log', { role: 'log', 'aria-label': this._t('Messages'), tabindex: '0', onscroll: () => this.scrolled() });
            // a picture that comes in must not push the end out of sight
            this.log.addEventListener('load', () => this.stick && this.toEnd(), true);
            this.log.addEventListener('loadedmetadata', () => this.stick && this.toEnd(), true);
            new ResizeObserver(() => this.stick && this.toEnd()).observe(this.log);
            this.count = h('span.o_wa_badge', { hidden: true });
            this.end = h('button.o_wa_to_end', { type: 'button', hidden: true, title: this._t('To the newest'), 'aria-label': this._t('To the newest'), onclick: () => { this.toEnd(); this.scrolled(); } },
                icon('fa-chevron-down'), this.count);
            this.element = h('div.o_wa_thread', {}, this.log, this.end);
        }

        /** Shows a chat from its newest messages on. */
        async open(chat) {
            Object.assign(this, { chat, messages: [], more: false, unread: null, stick: true, below: 0, loaded: false });
            this.rows.clear();
            this.log.replaceChildren(h('div.o_wa_none', {}, this._t('Loading…')));
            this.end.hidden = true;
            const answer = await this.inbox.rpc('inbox_messages', [chat.id]);
            if (this.chat !== chat) {
                return null; // another one was opened meanwhile
            }
            this.log.replaceChildren();
            this.messages = answer.messages.slice().sort(model.order);
            this.more = answer.more;
            this.loaded = true;
            this.unread = this.firstUnread(chat.unread);
            this.paint();
            const mark = this.log.querySelector('.o_wa_unread');
            if (mark) {
                this.log.scrollTop += mark.getBoundingClientRect().top - this.log.getBoundingClientRect().top - 60;
                this.scrolled();
            } else {
                this.toEnd();
            }
            this.fill();
            return answer.chat;
        }

        firstUnread(count) {
            const inbound = this.messages.filter((message) => !message.out && message.type !== 'reaction');
            return count > 0 && inbound.length ? inbound[Math.max(0, inbound.length - count)].id : null;
        }

        get ids() {
            return this.messages.map((message) => message.id);
        }

        /** The greatest id of what was read: everything up to it has been on the screen. */
        get upTo() {
            return this.messages.reduce((most, message) => Math.max(most, message.id), 0);
        }

        /** Takes over a re-read of this chat that asked for `asked`. */
        refreshed(answer, asked) {
            const before = this.upTo;
            const { messages, reset } = model.merged(this.messages, answer, asked);
            this.messages = messages;
            if (reset || this.messages.length <= answer.page.length) {
                this.more = answer.more;
            }
            const fresh = messages.filter((message) => message.id > before && !message.out && message.type !== 'reaction');
            if (!this.stick && fresh.length) {
                this.below += fresh.length;
            }
            if ((!this.stick || !document.hasFocus()) && fresh.length && this.unread === null) {
                this.unread = fresh[0].id;
            }
            this.paint();
        }

        // ---- painting

        /** Messages being sent stand at the end until their rows are there. */
        shown() {
            const mine = this.local.filter((local) => local.chat === this.chat.id);
            const taken = new Set();
            const waiting = mine.filter((local) => {
                const row = this.messages.find((message) => message.out && message.id > local.after && !taken.has(message.id) &&
                    (local.row ? message.id === local.row : message.text === local.text));
                if (row) {
                    taken.add(row.id);
                }
                return !row;
            });
            return this.messages.concat(waiting.map((local) => local.message));
        }

        paint() {
            if (!this.chat || !this.loaded) {
                return;
            }
            const items = model.rows(this.shown(), { group: this.chat.kind === 'group', unread: this.unread, words: this.inbox.words });
            const anchor = this.stick ? null : this.anchor();
            const rows = new Map();
            const elements = items.map((item) => {
                const sign = this.sign(item);
                const known = this.rows.get(item.key);
                const row = known && (known.sign === sign || this.plays(known.element)) ? known : { sign, element: this.painter.row(item) };
                rows.set(item.key, row);
                return row.element;
            });
            if (this.more) {
                elements.unshift(this.older || (this.older = h('div.o_wa_none', {}, this._t('Loading older messages…'))));
            } else if (!items.length) {
                elements.push(h('div.o_wa_none', {}, this._t('No messages yet.')));
            }
            const focused = this.log.contains(document.activeElement) ? document.activeElement.closest('[data-id]') : null;
            this.rows = rows;
            const wanted = new Set(elements);
            [...this.log.children].forEach((child) => wanted.has(child) || child.remove());
            elements.forEach((element, at) => {
                if (this.log.children[at] !== element) {
                    this.log.insertBefore(element, this.log.children[at] || null);
                }
            });
            if (focused && !focused.isConnected) {
                this.log.focus({ preventScroll: true });
            }
            if (this.stick) {
                this.toEnd();
            } else if (anchor && anchor.element.isConnected) {
                this.log.scrollTop += anchor.element.getBoundingClientRect().top - anchor.top;
            } else if (anchor) {
                const same = this.log.querySelector('[data-id="' + anchor.id + '"]');
                if (same) {
                    this.log.scrollTop += same.getBoundingClientRect().top - anchor.top;
                }
            }
            this.showEnd();
        }

        /** Equal for rows that look the same: whether an inbound message was read is not seen. */
        sign(item) {
            return JSON.stringify(item, (key, value) => (key === 'status' && value !== 'deleted' && value !== 'failed' && !(item.message && item.message.out) ? undefined : value));
        }

        plays(element) {
            return [...element.querySelectorAll('audio,video')].some((media) => media.controls && !media.paused && !media.ended);
        }

        /** The first message that is in sight, and where. */
        anchor() {
            const edge = this.log.getBoundingClientRect().top;
            const element = [...this.log.querySelectorAll('[data-id]')].find((row) => row.getBoundingClientRect().bottom > edge);
            return element ? { element, id: element.dataset.id, top: element.getBoundingClientRect().top } : null;
        }

        toEnd() {
            this.log.scrollTop = this.log.scrollHeight;
        }

        showEnd() {
            this.end.hidden = this.stick || !this.messages.length;
            this.count.hidden = !this.below;
            this.count.textContent = String(this.below);
        }

        scrolled() {
            const { log } = this;
            this.stick = log.scrollTop + log.clientHeight >= log.scrollHeight - AT_END;
            if (this.stick) {
                this.below = 0;
                this.inbox.seen();
            }
            this.showEnd();
            this.fill();
        }

        // ---- older messages

        async fill() {
            while (this.more && this.log.scrollTop < NEAR) {
                if (!await this.readOlder()) {
                    return;
                }
            }
        }

        /** @returns {boolean} whether there is something new above */
        async readOlder(limit) {
            const { chat } = this;
            if (this.reading === chat || !this.more || !this.messages.length) {
                return false;
            }
            this.reading = chat;
            try {
                const answer = await this.inbox.rpc('inbox_messages', [chat.id, this.messages[0].id].concat(limit || []));
                if (this.chat !== chat) {
                    return false;
                }
                const known = new Set(this.ids);
                this.messages = answer.messages.filter((message) => !known.has(message.id)).concat(this.messages).sort(model.order);
                this.more = answer.more;
                this.stick = false;
                this.paint();
                return true;
            } catch (error) {
                this.inbox.failed(error);
                return false;
            } finally {
                this.reading = null;
            }
        }

        async jump(id) {
            const { chat } = this;
            for (let page = 0; page < JUMP_PAGES && !this.messages.some((message) => message.id === id) && this.more; page++) {
                if (!await this.readOlder(200)) {
                    break;
                }
            }
            const row = this.chat === chat && this.log.querySelector('.o_wa_row[data-id="' + id + '"]');
            if (!row) {
                this.inbox.say(this._t('The quoted message is not here any more.'));
                return;
            }
            this.stick = false;
            row.scrollIntoView({ block: 'center' });
            row.focus({ preventScroll: true });
            row.classList.add('o_wa_flash');
            setTimeout(() => row.classList.remove('o_wa_flash'), FLASH);
        }

        async revisions(message, place) {
            const open = place.querySelector('.o_wa_former');
            if (open) {
                open.remove();
                return;
            }
            try {
                const found = await this.inbox.rpc('inbox_revisions', [message.id]);
                if (place.isConnected && !place.querySelector('.o_wa_former')) {
                    place.append(this.painter.former(found));
                    place.querySelector('.o_wa_former').scrollIntoView({ block: 'nearest' });
                }
            } catch (error) {
                this.inbox.failed(error);
            }
        }

        // ---- being sent

        sending(chat, { key, text, quoted }) {
            const at = new Date().toISOString().slice(0, 19).replace('T', ' ');
            const message = {
                id: key, local: true, type: 'text', out: true, status: 'queued', at, text, sender: '', sender_id: false, user: '',
                failure: '', media: false, quoted: quoted ? Object.assign({}, quoted, { quoted: false, reactions: [] }) : false, reactions: [],
            };
            this.local.push({ key, chat: chat.id, text, after: this.upTo, message });
            this.stick = true;
            this.unread = null;
            this.paint();
            this.toEnd();
        }

        /** The answer to a send; without `data` it failed and its text is back in the box. */
        settled(key, data) {
            const local = this.local.find((row) => row.key === key);
            if (!local) {
                return;
            }
            if (!data || !this.chat || local.chat !== this.chat.id) {
                this.local = this.local.filter((row) => row !== local);
            } else {
                local.row = data.id;
                local.message = Object.assign({}, local.message, { id: data.id, key: local.key, status: data.status });
            }
            this.local = this.local.filter((row) => row.row === undefined || !this.messages.some((message) => message.id === row.row));
            this.paint();
        }
    }

    window.WhatsappInboxThread = Thread;
})();
