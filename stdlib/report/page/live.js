// SPDX-License-Identifier: MIT
// A run that is under way: its page is served by `qemunet watch`, and asks there for the data again and again.

const PERIOD = 1000; // ms from one look to the next, at least, and so many times as long as one takes
const PAUSE = 4;
const FAILURES = 3; // on end, and there is nobody to ask any more

/** Look until the run has ended: `show`, given a page with the data as it is now, says whether it goes on; of the events, with
 * those from the byte on that `next` says. The button pauses. */
export function follow(button, show, next) {
    let failures = 0,
        latest = null,
        pressed = false;
    const paused = () => button.getAttribute("aria-pressed") === "false";

    function stop(words) {
        button.disabled = true;
        button.textContent = words;
    }

    // Nothing moves below the pointer of who drags, nor for who does not look.
    function refresh() {
        if (!latest || paused() || pressed || document.hidden) return;
        const page = latest;
        latest = null;
        if (!show(page)) stop("Ended");
    }

    async function look() {
        const began = performance.now();
        try {
            const answer = await fetch(`data/${next()}`, { cache: "no-store" });
            if (!answer.ok) throw new Error(answer.statusText);
            latest = new DOMParser().parseFromString(await answer.text(), "text/html");
            failures = 0;
        } catch {
            failures++;
        }
        refresh();
        if (failures >= FAILURES) stop("Disconnected");
        else if (!button.disabled) setTimeout(look, Math.max(PERIOD, (performance.now() - began) * PAUSE));
    }

    button.hidden = false;
    button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(paused()));
        refresh();
    });
    addEventListener("pointerdown", () => (pressed = true));
    for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => (pressed = false));
    document.addEventListener("visibilitychange", refresh);
    setTimeout(look, PERIOD);
}
