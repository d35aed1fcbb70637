/** @odoo-module ignore **/
// The Inbox: joins the list of chats, the conversation and the reply box, and follows what changes.
// A plain script shared by both series; inbox_14.js and inbox_19.js put it into Odoo's web client.
(function () {
    'use strict';

    const { Words } = window.WhatsappInboxModel;
    const { h, icon, avatar } = window.WhatsappInboxPainter;
    const NARROW = 700; // px; below, list and conversation take turns
    const PLACE = 'whatsapp_inbox_chat'; // in the tab's storage: the chat that is open, for a reload of the page

    /**
     * @param {Element} host where it is shown
     * @param {Object} env {_t, lang, tz, params: {chat_id, partner_id}, rpc(method, args) on whatsapp.chat, call(model,
     *     method, ids), act(action), notify(text, type), live(view) -> remove,
     *     details: the target of a message's form}
     */
    class Inbox {
        constructor(host, env) {
            this.env = env;
            this._t = env._t;
            this.words = new Words(env);
            this.rpc = (method, args) => env.rpc(method, args);
            this.chat = null;
            this.chats = new window.WhatsappInboxChats(this, env.params);
            this.thread = new window.WhatsappInboxThread({
                words: this.words, rpc: this.rpc,
                failed: (error) => this.failed(error),
                say: (text) => env.notify(text, 'info'),
                fetchAgain: (media, button) => this.fetchAgain(media, button),
                look: (media) => this.look(media),
                details: (message) => this.details(message),
                reply: (message) => this.composer.reply(message),
                seen: () => this.seen(),
            });
            this.composer = new window.WhatsappInboxComposer(this);
            this.build(host);
            this.removeLive = env.live({
                model: ['whatsapp.message', 'whatsapp.chat', 'whatsapp.contact', 'whatsapp.group', 'whatsapp.media'],
                id: () => null, busy: () => false, reload: () => this.refresh(),
            });
            this.onFocus = () => this.seen();
            window.addEventListener('focus', this.onFocus);
            this.started = this.start();
        }

        build(host) {
            this.head = h('header.o_wa_head');
            this.main = h('section.o_wa_main', {}, h('div.o_wa_welcome', {}, icon('fa-comments-o'), h('p', {}, this._t('Choose a chat to read and answer.'))),
                this.head, this.thread.element, this.composer.element);
            this.trouble = h('div.o_wa_trouble', { role: 'status', hidden: true });
            this.element = h('div.o_wa_inbox', { onkeydown: (ev) => this.keys(ev) }, this.trouble,
                h('div.o_wa_panes', {}, this.chats.element, this.main));
            host.replaceChildren(this.element);
            this.watch = new ResizeObserver(() => this.element.classList.toggle('o_wa_narrow', this.element.clientWidth < NARROW));
            this.watch.observe(this.element);
        }

        destroy() {
            this.gone = true;
            this.removeLive();
            this.watch.disconnect();
            window.removeEventListener('focus', this.onFocus);
            this.element.remove();
        }

        async start() {
            try {
                await this.chats.start();
            } catch (error) {
                this.failed(error);
                return;
            }
            const { chat_id: wanted, partner_id: partner } = this.env.params;
            const kept = Number(sessionStorage.getItem(PLACE));
            if (wanted) {
                await this.open(wanted);
            } else if (partner && this.chats.chats.length === 1) {
                await this.open(this.chats.chats[0].id);
            } else if (!partner && kept && this.element.clientWidth >= NARROW) {
                await this.open(kept, { quiet: true });
            }
        }

        // ---- one chat

        async open(id, { quiet } = {}) {
            if (this.chat && this.chat.id === id && this.thread.loaded) {
                this.element.classList.add('o_wa_open');
                this.composer.focus();
                return;
            }
            let chat = this.chats.chats.find((known) => known.id === id);
            try {
                if (!chat) {
                    chat = (await this.rpc('inbox_chats', [{ id }])).chats[0];
                }
                if (!chat) {
                    if (!quiet) {
                        this.env.notify(this._t('This chat does not exist, or you may not see it.'), 'warning');
                    }
                    return;
                }
                this.chat = chat;
                sessionStorage.setItem(PLACE, String(chat.id));
                this.element.classList.add('o_wa_open');
                this.chats.select(chat.id);
                this.paintHead();
                this.composer.open(chat);
                this.composer.focus();
                const fresh = await this.thread.open(chat);
                if (fresh) {
                    this.known(fresh);
                    this.seen(true);
                }
            } catch (error) {
                this.failed(error);
            }
        }

        close() {
            this.element.classList.remove('o_wa_open');
            this.chats.focusRow(this.chats.list.querySelector('[aria-selected=true]'));
        }

        /** Takes over what is newly known of the open chat. */
        known(chat) {
            if (this.chat && this.chat.id === chat.id) {
                this.chat = chat;
                this.thread.chat = chat;
                this.chats.update(chat);
                this.paintHead();
                this.composer.open(chat);
            }
        }

        paintHead() {
            const { chat, _t } = this;
            const sign = JSON.stringify([chat.name, chat.phone, chat.picture, chat.account, chat.partner, chat.contact_id]);
            if (this.headSign === sign) {
                return;
            }
            this.headSign = sign;
            const form = (model, id) => () => this.env.act({ type: 'ir.actions.act_window', res_model: model, res_id: id, views: [[false, 'form']], target: 'current' });
            const open = chat.group_id ? form('whatsapp.group', chat.group_id) : chat.contact_id ? form('whatsapp.contact', chat.contact_id) : null;
            const title = open
                ? h('button.o_wa_title', { type: 'button', title: chat.kind === 'group' ? _t('Open the group') : _t('Open the contact'), onclick: open, dir: 'auto' }, chat.name)
                : h('div.o_wa_title', { dir: 'auto' }, chat.name);
            const parts = [
                h('button.o_wa_back', { type: 'button', title: _t('All chats'), 'aria-label': _t('All chats'), onclick: () => this.close() }, icon('fa-arrow-left')),
                avatar(chat),
                h('div.o_wa_head_words', {}, title, h('div.o_wa_faint', {}, [chat.phone !== chat.name && chat.phone, chat.account].filter(Boolean).join(' · '))),
            ];
            if (chat.partner) {
                parts.push(h('button.btn.btn-light.btn-sm.o_wa_to_partner', { type: 'button', title: _t('Open the partner'), onclick: form('res.partner', chat.partner.id) },
                    icon('fa-address-book-o'), ' ', chat.partner.name));
            }
            parts.push(h('button.o_wa_to_chat', { type: 'button', title: _t('Details of this chat'), 'aria-label': _t('Details of this chat'), onclick: form('whatsapp.chat', chat.id) }, icon('fa-info-circle')));
            this.head.replaceChildren(...parts);
        }

        /** Tells the daemon that everything up to the newest message was seen, once for each newest message. */
        async seen(opened) {
            const { chat, thread } = this;
            if (!chat || !thread.loaded || !chat.unread || document.hidden || !document.hasFocus() || !(opened || thread.stick)) {
                return;
            }
            const upTo = thread.upTo;
            const mark = chat.id + ':' + upTo;
            if (!upTo || this.marking === mark) {
                return;
            }
            this.marking = mark;
            try {
                const answer = await this.rpc('inbox_mark_read', [chat.id, upTo]);
                if (answer.success) {
                    const left = answer.data.unread_count || 0;
                    if (this.chat && this.chat.id === chat.id) {
                        this.known(Object.assign({}, this.chat, { unread: left }));
                    }
                    this.marking = left ? null : this.marking;
                } else {
                    this.warn(answer.error.message);
                }
            } catch (error) {
                this.marking = null; // the next look tries again
                console.debug('chat not marked as read', error);
            }
        }

        // ---- following changes

        async refresh() {
            await this.started;
            const { chat, chats, thread } = this;
            const asked = chats.asked;
            const loaded = chat && thread.loaded && thread.chat.id === chat.id;
            const ids = loaded ? thread.ids : [];
            const answer = await this.rpc('inbox_refresh', [chats.filters, chats.count, loaded ? chat.id : false, ids]);
            if (this.gone) {
                return;
            }
            this.warn('');
            chats.refreshed(answer, asked);
            if (answer.thread && this.chat && thread.chat && answer.thread.chat && answer.thread.chat.id === this.chat.id) {
                this.known(answer.thread.chat);
                thread.refreshed(answer.thread, ids);
                this.seen();
            }
        }

        // ---- sending, called by the reply box

        sending(chat, message) {
            this.thread.sending(chat, message);
        }

        settled(chat, key, data) {
            this.thread.settled(key, data);
        }

        // ---- the rest

        keys(ev) {
            if (ev.key === 'Escape' && !ev.defaultPrevented && this.element.classList.contains('o_wa_narrow') && this.element.classList.contains('o_wa_open')) {
                ev.preventDefault();
                this.close();
            }
        }

        details(message) {
            this.env.act({ type: 'ir.actions.act_window', name: this._t('Message'), res_model: 'whatsapp.message', res_id: message.id, views: [[false, 'form']], target: this.env.details || 'new' });
        }

        async fetchAgain(media, button) {
            button.disabled = true;
            try {
                await this.env.call('whatsapp.media', 'action_fetch_again', [media.id]);
                await this.refresh();
            } catch (error) {
                console.debug('file not asked for again', error); // Odoo shows why
            } finally {
                button.disabled = false;
            }
        }

        /** A picture in full size above everything. */
        look(media) {
            const before = document.activeElement;
            const src = '/whatsapp/media/' + media.id;
            const close = () => {
                box.remove();
                if (before && before.isConnected) {
                    before.focus({ preventScroll: true });
                }
            };
            const box = h('div.o_wa_look', {
                role: 'dialog', 'aria-modal': 'true', 'aria-label': media.name || this._t('Photo'), tabindex: '-1',
                onclick: (ev) => (ev.target.closest('a') ? undefined : close()),
                onkeydown: (ev) => {
                    ev.stopPropagation();
                    if (ev.key === 'Escape') {
                        ev.preventDefault();
                        close();
                    }
                },
            }, h('img', { src, alt: media.name || this._t('Photo') }),
                h('div.o_wa_look_bar', {}, h('a.btn.btn-light', { href: src, target: '_blank', rel: 'noopener', download: media.name || true }, icon('fa-download'), ' ', this._t('Download')),
                    h('button.btn.btn-light', { type: 'button', onclick: close }, icon('fa-times'), ' ', this._t('Close'))));
            this.element.append(box);
            box.querySelector('button').focus();
        }

        /** What went wrong, in words for the user. */
        reason(error) {
            const data = (error && error.data) || {};
            return data.message || (data.arguments && data.arguments[0]) || this._t('Odoo cannot be reached. Check the connection and try again.');
        }

        failed(error) {
            console.debug('inbox request failed', error);
            this.warn(this.reason(error));
        }

        /** A line above everything; gone with the next good answer. */
        warn(text) {
            this.trouble.hidden = !text;
            this.trouble.textContent = text;
        }
    }

    window.WhatsappInbox = Inbox;
})();
