// Runs named checks one after another and counts them.
'use strict';

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Polls until `look` returns something truthy and returns that; says what was missing when `seconds` are over. */
async function until(what, look, seconds = 15, every = 50) {
    const end = Date.now() + seconds * 1000;
    let trouble = null;
    for (;;) {
        try {
            const found = await look();
            if (found) {
                return found;
            }
            trouble = null;
        } catch (error) {
            trouble = error;
        }
        if (Date.now() > end) {
            throw new Error('not within ' + seconds + ' s: ' + what + (trouble ? ' (' + trouble.message + ')' : ''));
        }
        await sleep(every);
    }
}

/** A promise that is given up with a name after `seconds`. */
function within(what, seconds, promise) {
    let timer;
    const late = new Promise((_, refuse) => {
        timer = setTimeout(() => refuse(new Error('not within ' + seconds + ' s: ' + what)), seconds * 1000);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

class Suite {
    constructor(print = console.log) {
        this.print = print;
        this.results = [];
        this.onFailure = null; // async, gets the name of the check: evidence to keep
    }

    /** Runs `body`; a throw is a FAIL with its reason, a returned string is printed as a note. */
    async check(name, body, seconds = 120) {
        const start = Date.now();
        let trouble = null;
        let note;
        try {
            note = await within(name, seconds, body());
        } catch (error) {
            trouble = error;
        }
        this.results.push({ name, ok: !trouble });
        this.print((trouble ? 'FAIL ' : 'ok   ') + name + '  ' + (Date.now() - start) + ' ms' +
            (typeof note === 'string' ? '  ' + note : ''));
        if (trouble) {
            this.print('       ' + String(trouble.message || trouble).split('\n').slice(0, 12).join('\n       '));
            if (this.onFailure) {
                await this.onFailure(name);
            }
        }
        return !trouble;
    }

    /** As check, but what follows makes no sense without it: a failure ends the file. */
    async step(name, body, seconds) {
        if (!await this.check(name, body, seconds)) {
            throw new Stop(name);
        }
    }

    get failed() {
        return this.results.filter(({ ok }) => !ok);
    }
}

/** The rest of a file makes no sense any more; already reported. */
class Stop extends Error {}

module.exports = { Suite, Stop, sleep, until, within };
