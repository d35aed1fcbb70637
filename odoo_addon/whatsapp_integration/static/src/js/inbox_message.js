/** @odoo-module ignore **/
// One message of the Inbox as DOM. Words from outside only ever become text nodes; addresses only after a check.
(function () {
    'use strict';

    const model = window.WhatsappInboxModel;
    const SHOWN_IMAGE = 320; // px, the longer side
    const TEXT_TYPES = new Set(['text', 'template', 'interactive', 'order', 'unknown', 'poll', 'contact', 'location']);

    /** An element. Strings among `children` become text nodes; null and false are left out. */
    function h(tag, attributes, ...children) {
        const [name, ...classes] = tag.split('.');
        const element = document.createElement(name || 'div');
        if (classes.length) {
            element.className = classes.join(' ');
        }
        for (const [key, value] of Object.entries(attributes || {})) {
            if (value === null || value === undefined || value === false) {
                continue;
            }
            if (key.startsWith('on')) {
                element.addEventListener(key.slice(2), value);
            } else if (key === 'style') {
                Object.assign(element.style, value);
            } else {
                element.setAttribute(key, value === true ? '' : value);
            }
        }
        for (const child of children.flat(Infinity)) {
            if (child !== null && child !== undefined && child !== false && child !== '') {
                element.append(child);
            }
        }
        return element;
    }

    // 14 does not show what is aria-hidden at all
    const icon = (name, attributes) => h('i.fa.' + name, Object.assign({ role: 'presentation' }, attributes));

    const link = (href, ...children) => h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow' }, ...children);

    /** Text with line breaks (by CSS) and links. */
    const text = (words) => model.pieces(words).map((piece) => (piece.href ? link(piece.href, piece.text) : piece.text));

    function avatar(chat) {
        const letters = model.initials(chat.name);
        const face = h('span.o_wa_avatar.o_wa_shade_' + model.shade(chat.chat_id || chat.name), { role: 'presentation' },
            letters || icon(chat.kind === 'group' ? 'fa-users' : chat.kind === 'channel' ? 'fa-bullhorn' : 'fa-user'));
        if (/^https:\/\//.test(chat.picture || '')) {
            const image = h('img', { alt: '', loading: 'lazy', referrerpolicy: 'no-referrer', onerror: () => image.remove() });
            image.src = chat.picture;
            face.append(image);
        }
        return face;
    }

    function tick(message, _t) {
        const found = model.tick(message, _t);
        return found && h('span.o_wa_tick' + (found.tone ? '.o_wa_tick_' + found.tone : ''), { title: found.title, role: 'img', 'aria-label': found.title, 'data-status': message.status || '' },
            icon(found.icon), found.double && icon(found.icon));
    }

    /**
     * Makes the DOM of rows as `model.rows` gives them.
     * @param {Object} screen {words, jump(id), revisions(message), fetchAgain(media), look(media), open(message), reply(message)}
     */
    class Painter {
        constructor(screen) {
            this.screen = screen;
            this.words = screen.words;
            this._t = screen.words._t;
        }

        row(row) {
            const { _t } = this;
            switch (row.kind) {
                case 'day': return h('div.o_wa_day', { role: 'separator' }, h('span', {}, row.text));
                case 'unread': return h('div.o_wa_unread', { role: 'separator' }, h('span', {}, _t('Unread messages')));
                case 'note': return this.note(row.message);
                default: return this.bubble(row);
            }
        }

        note(message) {
            const words = message.type === 'reaction'
                ? (message.sender || this._t('You')) + ': ' + model.summary(message, this.words).text
                : message.text || this.words.type('system');
            return h('div.o_wa_note', { 'data-id': message.id }, h('span', { title: this.words.moment(message.at) }, words));
        }

        bubble({ message, first, named }) {
            const { _t, words, screen } = this;
            const deleted = message.status === 'deleted';
            const bare = !deleted && message.type === 'sticker' && message.media && message.media.state === 'ready';
            const classes = ['o_wa_bubble', message.out ? 'o_wa_out' : 'o_wa_in', first && 'o_wa_first', bare && 'o_wa_bare',
                message.local && 'o_wa_local'].filter(Boolean);
            const body = deleted
                ? h('div.o_wa_text.o_wa_faint', {}, icon('fa-ban'), ' ', _t('This message was deleted'))
                : [this.quoted(message), this.body(message)];
            const bubble = h('div.' + classes.join('.'), {},
                named && h('div.o_wa_sender.o_wa_ink_' + model.shade(message.sender), {}, message.sender || _t('Unknown')),
                message.forwarded && !deleted && h('div.o_wa_forwarded', {}, icon('fa-share'), ' ', _t('Forwarded')),
                body, this.foot(message, deleted));
            const menu = !message.local && h('div.o_wa_menu', {},
                !deleted && screen.reply && h('button', { type: 'button', title: _t('Reply'), 'aria-label': _t('Reply'), onclick: () => screen.reply(message) }, icon('fa-reply')),
                h('button', { type: 'button', title: _t('Details'), 'aria-label': _t('Details'), onclick: () => screen.open(message) }, icon('fa-info-circle')));
            return h('div.o_wa_row' + (message.out ? '.o_wa_row_out' : ''), { 'data-id': message.id, 'data-type': message.type, tabindex: '-1', 'data-status': message.status || '' },
                h('div.o_wa_stack', {}, h('div.o_wa_line', {}, bubble, menu), this.reactions(message),
                    message.failure && h('div.o_wa_failure', { role: 'note' }, icon('fa-exclamation-circle'), ' ', message.failure)));
        }

        foot(message, deleted) {
            const { _t, words, screen } = this;
            return h('div.o_wa_foot', {},
                message.edited && !deleted && h('button.o_wa_edited', { type: 'button', title: _t('Show the former texts'), onclick: (ev) => screen.revisions(message, ev.currentTarget.closest('.o_wa_stack')) }, _t('edited')),
                message.out && message.user && h('span.o_wa_user', { title: _t('Sent by') + ' ' + message.user }, message.user),
                message.out && !message.user && message.phone && h('span.o_wa_user', { title: _t('Typed on the phone') }, icon('fa-phone'), ' ', _t('Phone')),
                h('time', { title: words.moment(message.at) }, words.clock(message.at)),
                tick(message, _t));
        }

        reactions(message) {
            return message.reactions && message.reactions.length > 0 && h('div.o_wa_reactions', {}, message.reactions.map((chip) =>
                h('span.o_wa_reaction' + (chip.mine ? '.o_wa_mine' : ''), { title: chip.names.join(', ') }, chip.emoji, chip.count > 1 && h('b', {}, String(chip.count)))));
        }

        quoted(message) {
            const quoted = message.quoted;
            if (!quoted) {
                return null;
            }
            const line = model.summary(quoted, this.words);
            const name = quoted.out ? this._t('You') : quoted.sender;
            return h('button.o_wa_quote', { type: 'button', title: this._t('Go to this message'), onclick: () => this.screen.jump(quoted.id) },
                name && h('span.o_wa_quote_name.o_wa_ink_' + (quoted.out ? 'out' : model.shade(quoted.sender)), {}, name),
                h('span.o_wa_quote_text' + (line.faint ? '.o_wa_faint' : ''), {}, line.icon && icon(line.icon), line.icon && ' ', line.text));
        }

        body(message) {
            const special = {
                location: () => this.location(message),
                contact: () => this.card(message),
                poll: () => this.poll(message),
                interactive: () => this.choice(message),
                template: () => this.choice(message),
                order: () => this.order(message),
                unknown: () => this.unknown(message),
            }[message.type];
            const media = message.media ? this.media(message) : !TEXT_TYPES.has(message.type) && this.missing(message);
            if (special) {
                return [media, special()];
            }
            const large = message.type === 'text' && model.isEmoji(message.text);
            return [media, message.text && h('div.o_wa_text' + (large ? '.o_wa_large' : ''), { dir: 'auto' }, text(message.text))];
        }

        /** A picture, a sound … whose file is not known at all. */
        missing(message) {
            return h('div.o_wa_file', {}, icon(model.ICONS[message.type] || 'fa-file-o'), h('span', {}, this.words.type(message.type)));
        }

        media(message) {
            const { media } = message;
            const { _t } = this;
            if (media.state !== 'ready') {
                const waiting = media.state === 'waiting';
                return h('div.o_wa_file.o_wa_' + media.state, {},
                    icon(waiting ? 'fa-circle-o-notch.fa-spin' : model.ICONS[message.type] || 'fa-file-o'),
                    h('span.o_wa_file_words', {},
                        h('span.o_wa_file_name', {}, media.name || this.words.type(message.type)),
                        h('span.o_wa_faint', {}, waiting ? _t('Being fetched…') : media.state === 'refused' ? _t('Refused') : _t('Could not be fetched'),
                            !waiting && media.reason && ': ' + media.reason)),
                    media.state === 'failed' && h('button.btn.btn-sm.btn-secondary', { type: 'button', onclick: (ev) => this.screen.fetchAgain(media, ev.currentTarget) }, _t('Fetch again')));
            }
            const src = '/whatsapp/media/' + media.id;
            const kind = media.mime.split('/')[0];
            if (kind === 'image' && ['image', 'sticker', 'gif'].includes(message.type)) {
                return this.image(message, src);
            }
            if (kind === 'video') {
                const loop = message.type === 'gif';
                return h('video.o_wa_video', { src: src + '#t=0.1', controls: !loop, loop, muted: loop, autoplay: loop, playsinline: true, preload: 'metadata', 'aria-label': this.words.type(message.type), style: this.size(media) });
            }
            if (kind === 'audio' || /^application\/ogg/.test(media.mime)) {
                return h('div.o_wa_sound', {}, icon(message.type === 'voice' ? 'fa-microphone' : 'fa-music'),
                    h('audio', { src, controls: true, preload: 'metadata', 'aria-label': this.words.type(message.type) }),
                    media.duration > 0 && h('span.o_wa_faint', {}, model.seconds(media.duration)));
            }
            return h('a.o_wa_file', { href: src, target: '_blank', rel: 'noopener' }, icon(this.fileIcon(media)),
                h('span.o_wa_file_words', {}, h('span.o_wa_file_name', {}, media.name || this.words.type('document')),
                    h('span.o_wa_faint', {}, [this.fileKind(media), model.bytes(media.size)].filter(Boolean).join(' · '))),
                icon('fa-download'));
        }

        /** The box of a picture before it is there, so that the text below does not jump. */
        size(media) {
            if (!media.width || !media.height) {
                return {};
            }
            const scale = Math.min(1, SHOWN_IMAGE / Math.max(media.width, media.height));
            return { width: Math.max(60, Math.round(media.width * scale)) + 'px', aspectRatio: media.width + ' / ' + media.height };
        }

        image(message, src) {
            const { media } = message;
            const animated = message.type === 'gif' || media.mime === 'image/gif' || message.type === 'sticker';
            return h('button.o_wa_image', { type: 'button', title: this._t('Show in full size'), onclick: () => this.screen.look(media) },
                h('img', { src: animated ? src : src + '?thumb=1', alt: message.text || this.words.type(message.type), style: this.size(media), onerror: (ev) => ev.currentTarget.classList.add('o_wa_broken') }));
        }

        fileIcon(media) {
            const mime = media.mime;
            return /pdf/.test(mime) ? 'fa-file-pdf-o' : /zip|compressed|tar/.test(mime) ? 'fa-file-archive-o'
                : /sheet|excel|csv/.test(mime) ? 'fa-file-excel-o' : /word|opendocument.text/.test(mime) ? 'fa-file-word-o'
                    : /presentation|powerpoint/.test(mime) ? 'fa-file-powerpoint-o' : /^text\//.test(mime) ? 'fa-file-text-o'
                        : /^image\//.test(mime) ? 'fa-file-image-o' : 'fa-file-o';
        }

        fileKind(media) {
            const ending = /\.([a-z0-9]{1,5})$/i.exec(media.name || '');
            return ending ? ending[1].toUpperCase() : (media.mime.split('/')[1] || '').split(/[;+]/)[0].slice(0, 12).toUpperCase();
        }

        location(message) {
            const place = model.place(message);
            const label = [place && place.name, place && place.address].filter(Boolean);
            const words = h('span.o_wa_file_words', {},
                h('span.o_wa_file_name', {}, label[0] || message.text || this.words.type('location')),
                label[1] && h('span.o_wa_faint', {}, label[1]),
                place && h('span.o_wa_faint', {}, place.latitude.toFixed(5) + ', ' + place.longitude.toFixed(5)));
            if (!place) {
                return h('div.o_wa_file', {}, icon('fa-map-marker'), words);
            }
            const at = place.latitude + '/' + place.longitude;
            const map = link('https://www.openstreetmap.org/?mlat=' + place.latitude + '&mlon=' + place.longitude + '#map=16/' + at, icon('fa-map-marker'), words, icon('fa-external-link'));
            map.classList.add('o_wa_file');
            return map;
        }

        card(message) {
            const cards = window.WhatsappInboxExtra.cards(message);
            return cards.map((card) => h('div.o_wa_file', {}, icon('fa-user-circle-o'), h('span.o_wa_file_words', {},
                h('span.o_wa_file_name', {}, card.name || this.words.type('contact')),
                card.phones.map((phone) => h('span', {}, h('a', { href: 'tel:' + phone.replace(/[^+\d]/g, '') }, phone))))));
        }

        poll(message) {
            const poll = window.WhatsappInboxExtra.poll(message);
            const all = poll.options.reduce((sum, option) => sum + option.votes, 0);
            return h('div.o_wa_poll', {}, h('div.o_wa_file_name', {}, icon('fa-bar-chart'), ' ', poll.title || this.words.type('poll')),
                poll.options.map((option) => h('div.o_wa_option', {}, h('span', {}, option.name), h('span.o_wa_faint', {}, String(option.votes)),
                    h('span.o_wa_bar', { style: { width: (all ? Math.round(100 * option.votes / all) : 0) + '%' } }))));
        }

        choice(message) {
            const choice = window.WhatsappInboxExtra.choice(message);
            return [choice.header && h('div.o_wa_file_name', { dir: 'auto' }, choice.header),
                (choice.body || !choice.options.length) && h('div.o_wa_text', { dir: 'auto' }, text(choice.body || this.words.type(message.type))),
                choice.footer && h('div.o_wa_faint', { dir: 'auto' }, choice.footer),
                choice.options.length > 0 && h('div.o_wa_buttons', {}, choice.options.map((option) => h('span', {}, option)))];
        }

        order(message) {
            const order = window.WhatsappInboxExtra.order(message);
            return h('div.o_wa_order', {}, h('div.o_wa_file_name', {}, icon('fa-shopping-cart'), ' ', order.title || this.words.type('order')),
                order.items.map((item) => h('div.o_wa_option', {}, h('span', {}, item.name), h('span.o_wa_faint', {}, item.amount))),
                order.total && h('div.o_wa_option', {}, h('b', {}, this._t('Total')), h('b', {}, order.total)),
                message.text && h('div.o_wa_text', { dir: 'auto' }, text(message.text)));
        }

        unknown(message) {
            return message.text ? h('div.o_wa_text', { dir: 'auto' }, text(message.text))
                : h('div.o_wa_text.o_wa_faint', {}, icon('fa-question-circle-o'), ' ', this._t('This kind of message cannot be shown here. Open it on the phone.'));
        }

        /** The former texts of an edited message, shown and hidden under its bubble. */
        former(revisions) {
            return h('ol.o_wa_former', { 'aria-label': this._t('Former texts') }, revisions.length
                ? revisions.map((row) => h('li', {}, h('span.o_wa_faint', {}, this.words.moment(row.at)), h('div', { dir: 'auto' }, row.text)))
                : h('li.o_wa_faint', {}, this._t('The former text is not known.')));
        }
    }

    window.WhatsappInboxPainter = { Painter, h, icon, avatar, tick };
})();
