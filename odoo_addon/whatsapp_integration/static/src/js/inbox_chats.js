/** @odoo-module ignore **/
// The left side of the Inbox: search, filters, and the list of chats.
(function () {
    'use strict';

    const model = window.WhatsappInboxModel;
    const { h, icon, avatar, tick } = window.WhatsappInboxPainter;
    const TYPING = 250; // ms after the last letter until it is searched
    const NEAR = 400;   // px from the end at which more chats are read
    const MOST = 200;   // chats that are read again at once

    /**
     * @param {Object} inbox {words, rpc, open(id), failed(error)}
     * @param {Object} params {partner_id}
     */
    class Chats {
        constructor(inbox, params) {
            this.inbox = inbox;
            this._t = inbox.words._t;
            this.filters = { partner_id: params.partner_id || false };
            this.chats = [];
            this.next = false;
            this.asked = 0; // number of the newest request: older answers are not shown any more
            this.rows = new Map();
            this.current = null;
            this.build();
        }

        build() {
            const { _t } = this;
            this.search = h('input.o_wa_search.form-control', {
                type: 'search', placeholder: _t('Search a name or number'), 'aria-label': _t('Search a name or number'),
                oninput: () => {
                    clearTimeout(this.typing);
                    this.typing = setTimeout(() => this.filter({ search: this.search.value.trim() }), TYPING);
                },
                onkeydown: (ev) => {
                    if (ev.key === 'ArrowDown' || ev.key === 'Enter') {
                        ev.preventDefault();
                        this.focusRow(this.list.querySelector('.o_wa_chat'));
                    } else if (ev.key === 'Escape' && this.search.value) {
                        this.search.value = '';
                        this.filter({ search: '' });
                    }
                },
            });
            const chip = (name, label) => h('button.o_wa_chip', {
                type: 'button', 'data-filter': name, 'aria-pressed': 'false', onclick: () => this.filter({ [name]: !this.filters[name] }),
            }, label);
            this.chips = [chip('unread', _t('Unread')), chip('groups', _t('Groups'))];
            this.accounts = h('select.o_wa_accounts', {
                'aria-label': _t('Account'), hidden: true,
                onchange: () => this.filter({ configuration_id: Number(this.accounts.value) || false }),
            });
            this.partner = h('span.o_wa_partner', { hidden: true });
            this.list = h('div.o_wa_chats', { role: 'listbox', 'aria-label': _t('Chats'), onscroll: () => this.more(), onkeydown: (ev) => this.keys(ev) });
            this.element = h('div.o_wa_side', {},
                h('div.o_wa_side_head', {}, this.partner, h('div.o_wa_searchbox', {}, icon('fa-search'), this.search), h('div.o_wa_chips', {}, this.chips, this.accounts)),
                this.list);
        }

        async start() {
            this.say(this._t('Loading…'));
            const asked = ++this.asked;
            const answer = await this.inbox.rpc('inbox_start', [this.filters]);
            if (answer.accounts.length > 1) {
                this.accounts.hidden = false;
                this.accounts.append(h('option', { value: '' }, this._t('All accounts')),
                    ...answer.accounts.map((account) => h('option', { value: account.id }, account.name)));
            }
            if (answer.partner) {
                this.partner.hidden = false;
                this.partner.append(icon('fa-user'), ' ', answer.partner.name || this._t('Partner'), h('button', {
                    type: 'button', 'aria-label': this._t('Show all chats'), title: this._t('Show all chats'),
                    onclick: () => {
                        this.partner.hidden = true;
                        this.filter({ partner_id: false });
                        this.search.focus();
                    },
                }, '×'));
            }
            if (asked === this.asked) {
                this.show(answer.chats, answer.next);
            }
        }

        async filter(changes) {
            Object.assign(this.filters, changes);
            this.chips.forEach((chip) => chip.setAttribute('aria-pressed', String(Boolean(this.filters[chip.dataset.filter]))));
            const asked = ++this.asked;
            this.element.classList.add('o_wa_busy');
            try {
                const answer = await this.inbox.rpc('inbox_chats', [this.filters]);
                if (asked === this.asked) {
                    this.list.scrollTop = 0;
                    this.show(answer.chats, answer.next);
                }
            } catch (error) {
                this.inbox.failed(error);
            } finally {
                this.element.classList.remove('o_wa_busy');
            }
        }

        async more() {
            const { list } = this;
            if (!this.next || this.reading || list.scrollTop + list.clientHeight < list.scrollHeight - NEAR) {
                return;
            }
            this.reading = true;
            const asked = this.asked;
            try {
                const answer = await this.inbox.rpc('inbox_chats', [this.filters, 30, this.next]);
                if (asked === this.asked) {
                    const known = new Set(this.chats.map((chat) => chat.id));
                    this.show(this.chats.concat(answer.chats.filter((chat) => !known.has(chat.id))), answer.next);
                }
            } catch (error) {
                this.inbox.failed(error);
            } finally {
                this.reading = false;
            }
        }

        /** How many chats a re-read asks for. */
        get count() {
            return Math.min(MOST, Math.max(30, this.chats.length));
        }

        /** The answer of a re-read: the newest chats; what was loaded beyond them stays. */
        refreshed(answer, asked) {
            if (asked !== this.asked) {
                return;
            }
            const fresh = new Set(answer.chats.map((chat) => chat.id));
            const beyond = this.chats.length > answer.chats.length && answer.next ? this.chats.slice(answer.chats.length).filter((chat) => !fresh.has(chat.id)) : [];
            this.show(answer.chats.concat(beyond), beyond.length ? this.next : answer.next);
        }

        /** Takes over what is newly known of one chat, where it stands in the list. */
        update(chat) {
            const at = this.chats.findIndex((known) => known.id === chat.id);
            if (at >= 0) {
                this.chats[at] = chat;
                this.paint();
            }
        }

        show(chats, next) {
            this.chats = chats;
            this.next = next;
            this.paint();
        }

        select(id) {
            this.current = id;
            this.paint();
        }

        say(words) {
            this.rows.clear();
            this.list.replaceChildren(h('div.o_wa_none', {}, words));
        }

        paint() {
            if (!this.chats.length) {
                const filtered = this.filters.search || this.filters.unread || this.filters.groups || this.filters.configuration_id;
                this.say(filtered ? this._t('No chat fits.') : this._t('No chats yet. They appear here as soon as somebody writes.'));
                return;
            }
            const focused = this.list.contains(document.activeElement) && document.activeElement.dataset.id;
            const rows = new Map();
            const elements = this.chats.map((chat) => {
                const sign = JSON.stringify([chat, chat.id === this.current, this.inbox.words.short(chat.at)]);
                const known = this.rows.get(chat.id);
                const row = known && known.sign === sign ? known : { sign, element: this.row(chat) };
                rows.set(chat.id, row);
                return row.element;
            });
            this.rows = rows;
            this.reorder(elements);
            const current = this.list.querySelector('[aria-selected=true]') || elements[0];
            elements.forEach((element) => { element.tabIndex = element === current ? 0 : -1; });
            if (focused && rows.has(Number(focused))) {
                rows.get(Number(focused)).element.focus({ preventScroll: true });
            }
        }

        reorder(elements) {
            const top = this.list.scrollTop;
            const wanted = new Set(elements);
            [...this.list.children].forEach((child) => wanted.has(child) || child.remove());
            elements.forEach((element, at) => {
                if (this.list.children[at] !== element) {
                    this.list.insertBefore(element, this.list.children[at] || null);
                }
            });
            this.list.scrollTop = top;
        }

        row(chat) {
            const { words } = this.inbox;
            const { last } = chat;
            const line = last ? model.summary(last, words) : { icon: null, text: '', faint: true };
            const who = last && chat.kind === 'group' && last.status !== 'deleted' && last.type !== 'system' ? (last.out ? this._t('You') : last.sender) : '';
            const several = this.accounts.options.length > 1 && !this.filters.configuration_id;
            return h('div.o_wa_chat' + (chat.unread ? '.o_wa_has_unread' : ''), {
                role: 'option', 'data-id': chat.id, 'aria-selected': String(chat.id === this.current), tabindex: '-1',
                onclick: () => this.inbox.open(chat.id),
            },
                avatar(chat),
                h('div.o_wa_chat_words', {},
                    h('div.o_wa_chat_line', {}, h('span.o_wa_name', { dir: 'auto' }, chat.name), h('time', { title: words.moment(chat.at) }, words.short(chat.at))),
                    h('div.o_wa_chat_line', {},
                        h('span.o_wa_last' + (line.faint ? '.o_wa_faint' : ''), {},
                            last && tick(last, this._t), who && h('span.o_wa_who', {}, who + ': '), line.icon && icon(line.icon), line.icon && ' ', line.text),
                        chat.unread > 0 && h('span.o_wa_badge', { 'aria-label': this._t('Unread') }, chat.unread > 999 ? '999+' : String(chat.unread))),
                    several && h('div.o_wa_account', {}, chat.account)));
        }

        focusRow(row) {
            if (row) {
                row.focus();
                row.scrollIntoView({ block: 'nearest' });
            }
        }

        keys(ev) {
            const row = ev.target.closest('.o_wa_chat');
            const move = {
                ArrowDown: () => row.nextElementSibling, ArrowUp: () => row.previousElementSibling,
                Home: () => this.list.firstElementChild, End: () => this.list.lastElementChild,
            }[ev.key];
            if (row && move) {
                ev.preventDefault();
                const to = move();
                if (!to && ev.key === 'ArrowUp') {
                    this.search.focus();
                }
                this.focusRow(to);
            } else if (row && (ev.key === 'Enter' || ev.key === ' ')) {
                ev.preventDefault();
                this.inbox.open(Number(row.dataset.id));
            }
        }
    }

    window.WhatsappInboxChats = Chats;
})();
