// SPDX-License-Identifier: MIT
// The time that is looked at: one range of experiment seconds, that the timeline and all plots show.

const NARROWEST = 1e-6;

export function createClock(end) {
    const margin = end * 0.01 || 0.01;
    const full = [-margin, end + margin];
    const listeners = new Set();
    let range = full,
        asked = false;

    function tell() {
        asked = false;
        for (const fn of listeners) fn(range[0], range[1]);
    }

    function set(from, to) {
        const width = Math.min(Math.max(to - from, NARROWEST), full[1] - full[0]);
        const at = Math.min(Math.max((from + to - width) / 2, full[0]), full[1] - width);
        range = [at, at + width];
        if (!asked) requestAnimationFrame(tell);
        asked = true;
    }

    return {
        get range() {
            return range;
        },
        get full() {
            return full;
        },
        set,
        all: () => set(full[0], full[1]),
        /** Look at `factor` times as much, with `at` where it is. */
        zoom(factor, at = (range[0] + range[1]) / 2) {
            set(at - (at - range[0]) * factor, at + (range[1] - at) * factor);
        },
        /** Go on by a fraction of the range. */
        pan(fraction) {
            const by = (range[1] - range[0]) * fraction;
            set(range[0] + by, range[1] + by);
        },
        /** Make sure that this can be seen. */
        show(from, to) {
            const width = range[1] - range[0];
            if (from >= range[0] && to <= range[1]) return;
            if (to - from > width * 0.8) return set(from - (to - from) * 0.2, to + (to - from) * 0.2);
            set((from + to - width) / 2, (from + to + width) / 2);
        },
        on(fn) {
            listeners.add(fn);
        },
        /** Tell at once, as for a print. */
        flush: tell,
    };
}
