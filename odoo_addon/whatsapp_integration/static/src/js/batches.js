/** @odoo-module ignore **/
// Work that is many small requests, with a bar and a way to stop: a plain script shared by both series.
(function () {
    'use strict';

    const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

    function make(tag, className, parent, text) {
        const element = document.createElement(tag);
        element.className = className;
        if (text) {
            element.textContent = text;
        }
        parent.append(element);
        return element;
    }

    /** What is on the screen meanwhile; `stopped` once the user wants no more. */
    class Progress {
        constructor(title, total, _t) {
            this.total = total;
            this.stopped = false;
            this.el = make('div', 'o_wa_batches', document.body);
            this.el.setAttribute('role', 'dialog');
            this.el.setAttribute('aria-label', title);
            const box = make('div', 'o_wa_batches_box', this.el);
            make('h4', 'o_wa_batches_title', box, title);
            const frame = make('div', 'progress', box);
            this.bar = make('div', 'progress-bar', frame);
            this.bar.setAttribute('role', 'progressbar');
            this.text = make('div', 'o_wa_batches_text', box);
            const stop = make('button', 'btn btn-secondary', box, _t('Stop'));
            stop.type = 'button';
            stop.addEventListener('click', () => {
                this.stopped = true;
                stop.disabled = true;
            });
            stop.focus();
            this.show(0);
        }

        show(done) {
            const percent = this.total ? Math.round((100 * done) / this.total) : 100;
            this.bar.style.width = percent + '%';
            this.bar.setAttribute('aria-valuenow', percent);
            this.text.textContent = done + ' / ' + this.total;
        }

        close() {
            this.el.remove();
        }
    }

    /**
     * @param {Object} params {model, id, method, title, total}; the method is called with how often the same piece was
     *     tried, and answers {done, wait_s, progress, action?}: with an action it was the last one
     * @param {Object} how {_t, rpc(model, method, args)}
     * @returns {Promise} of the action to do next
     */
    async function run(params, how) {
        const progress = new Progress(params.title, params.total, how._t);
        try {
            for (let tries = 0; ;) {
                const answer = await how.rpc(params.model, params.method, [[params.id], tries]);
                progress.show(answer.done);
                if (answer.action) {
                    return answer.action;
                }
                tries = answer.progress ? 0 : tries + 1;
                for (let waited = 0; waited < answer.wait_s && !progress.stopped; waited += 0.25) {
                    await sleep(0.25);
                }
                if (progress.stopped) {
                    return {
                        type: 'ir.actions.act_window',
                        name: params.title,
                        res_model: params.model,
                        res_id: params.id,
                        views: [[false, 'form']],
                        target: 'new',
                    };
                }
            }
        } finally {
            progress.close();
        }
    }

    window.WhatsappBatches = { run };
})();
