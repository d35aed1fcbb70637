/** @odoo-module ignore **/
// The reply box: keeps what was typed for each chat, sends one message after the other, and gives a text back
// when it could not be sent.
(function () {
    'use strict';

    const model = window.WhatsappInboxModel;
    const { h, icon } = window.WhatsappInboxPainter;
    const TALLEST = 160; // px

    const newKey = () => 'inbox-' + [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

    /** @param {Object} inbox {words, rpc, sent(chat), sending(chat, message), settled(chat, key, data)} */
    class Composer {
        constructor(inbox) {
            this.inbox = inbox;
            this._t = inbox.words._t;
            this.chat = null;
            this.drafts = new Map();  // chat -> {text, reply, error, failed: {key, text, reply}}
            this.queue = Promise.resolve();
            this.build();
        }

        build() {
            const { _t } = this;
            this.input = h('textarea.o_wa_input', {
                rows: '1', placeholder: _t('Write a message'), 'aria-label': _t('Write a message'), dir: 'auto', maxlength: '65000',
                oninput: () => this.typed(), onkeydown: (ev) => this.keys(ev),
            });
            this.button = h('button.o_wa_send.btn.btn-primary', { type: 'button', title: _t('Send'), 'aria-label': _t('Send'), onclick: () => this.send() }, icon('fa-paper-plane'));
            this.quote = h('div.o_wa_replying', { hidden: true });
            this.error = h('div.o_wa_error', { role: 'alert', hidden: true });
            this.closed = h('div.o_wa_closed', { hidden: true });
            this.line = h('div.o_wa_write', {}, this.input, this.button);
            this.element = h('div.o_wa_composer', {}, this.error, this.quote, this.closed, this.line);
        }

        get draft() {
            const id = this.chat && this.chat.id;
            if (!this.drafts.has(id)) {
                this.drafts.set(id, { text: '', reply: null, error: '', failed: null });
            }
            return this.drafts.get(id);
        }

        /** Shows the box of a chat; the same chat again only follows what may be done in it. */
        open(chat) {
            const other = !this.chat || this.chat.id !== chat.id;
            this.chat = chat;
            this.closed.hidden = !chat.closed;
            this.closed.textContent = chat.closed || '';
            this.line.hidden = Boolean(chat.closed);
            if (other) {
                this.input.value = this.draft.text;
            }
            this.paint();
        }

        paint() {
            const { draft, _t } = this;
            this.error.hidden = !draft.error;
            this.error.textContent = draft.error;
            this.quote.hidden = !draft.reply || Boolean(this.chat.closed);
            if (draft.reply) {
                const line = model.summary(draft.reply, this.inbox.words);
                this.quote.replaceChildren(
                    h('div.o_wa_quote', {}, h('span.o_wa_quote_name', {}, draft.reply.out ? _t('You') : draft.reply.sender || this.chat.name),
                        h('span.o_wa_quote_text', {}, line.icon && icon(line.icon), line.icon && ' ', line.text)),
                    h('button', { type: 'button', title: _t('Do not quote'), 'aria-label': _t('Do not quote'), onclick: () => this.reply(null) }, '×'));
            }
            this.button.disabled = !this.input.value.trim();
            this.input.style.height = 'auto';
            this.input.style.height = Math.min(TALLEST, this.input.scrollHeight) + 'px';
        }

        typed() {
            this.draft.text = this.input.value;
            this.draft.error = '';
            this.paint();
        }

        reply(message) {
            this.draft.reply = message;
            this.paint();
            this.focus();
        }

        focus() {
            if (this.chat && !this.chat.closed) {
                this.input.focus({ preventScroll: true });
            }
        }

        keys(ev) {
            if (ev.key === 'Enter' && !ev.shiftKey && !ev.isComposing && !ev.ctrlKey && !ev.altKey) {
                ev.preventDefault();
                ev.stopPropagation();
                this.send();
            } else if (ev.key === 'Escape' && this.draft.reply) {
                ev.preventDefault();
                ev.stopPropagation();
                this.reply(null);
            }
        }

        send() {
            const { chat, draft } = this;
            const text = this.input.value.trim();
            if (!text || !chat || chat.closed) {
                return;
            }
            const reply = draft.reply;
            const { failed } = draft;
            // What failed and is sent unchanged keeps its key: if it got through after all, it is not sent twice.
            const again = failed && failed.text === text && failed.reply === (reply && reply.id);
            const key = again ? failed.key : newKey();
            Object.assign(draft, { text: '', reply: null, error: '', failed: null });
            this.input.value = '';
            this.paint();
            this.inbox.sending(chat, { key, text, quoted: reply });
            this.queue = this.queue.then(() => this.deliver(chat, key, text, reply));
        }

        async deliver(chat, key, text, reply) {
            let why;
            try {
                const answer = await this.inbox.rpc('inbox_send', [chat.id, text, key, reply ? reply.id : false]);
                if (answer.success) {
                    this.inbox.settled(chat, key, answer.data);
                    return;
                }
                why = answer.error.message;
            } catch (error) {
                why = this.inbox.reason(error);
            }
            this.inbox.settled(chat, key, null);
            const draft = this.drafts.get(chat.id);
            draft.error = this._t('Not sent.') + ' ' + why;
            if (!draft.text.trim()) {
                Object.assign(draft, { text, reply, failed: { key, text, reply: reply && reply.id } });
            } else {
                draft.text = text + '\n' + draft.text;
            }
            if (this.chat && this.chat.id === chat.id) {
                this.input.value = draft.text;
                this.paint();
            }
        }
    }

    window.WhatsappInboxComposer = Composer;
})();
