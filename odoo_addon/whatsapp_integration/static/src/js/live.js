/** @odoo-module ignore **/
// When to re-read an open view: a plain script shared by both series.
// The adapters live_14.js and live_19.js say how.
(function () {
    'use strict';

    const GAP = 300;      // ms between two re-reads of one view
    const RETRY = 1000;   // ms until a busy view is looked at again
    const LATER = 2000;   // ms until what others' changes count in is read again
    const PERIOD = 30000; // ms between re-reads without a hint: a lost hint is normal

    // Counts of a campaign are made of its messages, and one hint may stand for hundreds of them.
    const COUNTED = {
        'whatsapp.bulk.campaign': 'whatsapp.message',
        'whatsapp.bulk.campaign.recipient': 'whatsapp.message',
    };

    /**
     * A view is {model, id(), busy(), reload()}: model is one name or several, id() is the record of a form and null for a list,
     * busy() forbids a re-read now, reload() returns a promise.
     */
    class LiveViews {
        constructor() {
            this.states = new Map();
            const all = () => this.states.forEach((state, view) => this.mark(view));
            window.addEventListener('focus', all);
            document.addEventListener('visibilitychange', all);
            setInterval(all, PERIOD);
        }

        /** @returns {Function} that removes the view again */
        add(view) {
            this.states.set(view, { stale: false, running: false, timer: null, last: 0 });
            return () => {
                clearTimeout((this.states.get(view) || {}).timer);
                this.states.delete(view);
            };
        }

        /** @param {Object} payload {model: [ids]}; no ids = any record of the model */
        hint(payload) {
            this.states.forEach((state, view) => {
                const id = view.id();
                const hit = (ids) => ids && (id === null || !ids.length || ids.includes(id));
                const models = [].concat(view.model);
                if (models.some((model) => hit((payload || {})[model]))) {
                    this.mark(view);
                } else if (models.some((model) => (payload || {})[COUNTED[model]])) {
                    this.mark(view, LATER);
                }
            });
        }

        mark(view, delay = 0) {
            this.states.get(view).stale = true;
            this.wake(view, delay);
        }

        wake(view, delay) {
            const state = this.states.get(view);
            if (state && state.stale && !state.running && state.timer === null) {
                const wait = Math.max(delay, state.last + GAP - Date.now());
                state.timer = setTimeout(() => this.run(view, state), wait);
            }
        }

        async run(view, state) {
            state.timer = null;
            if (document.hidden) {
                return; // stays stale until the tab is seen again
            }
            if (view.busy()) {
                this.wake(view, RETRY);
                return;
            }
            state.stale = false;
            state.running = true;
            try {
                await view.reload();
            } catch (error) {
                // Deleted record, lost connection, ended session: the user has not asked for
                // anything, so no dialog. The next hint or period tries again.
                console.debug('live view not re-read', view.model, error);
            }
            state.running = false;
            state.last = Date.now();
            this.wake(view, 0);
        }
    }

    window.WhatsappLiveViews = LiveViews;
})();
