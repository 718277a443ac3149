// SPDX-License-Identifier: MIT
// What the timeline and the plots share, so that a moment is at the same place in all: the time axis, the room at their left,
// the cursor, the marks, and what mouse, wheel and fingers do to the range.

import { colour, element } from "./elements.js";

export const SYNC = "run";
export const RIGHT = 18;

/** Room for names at the left, CSS pixels. */
export const gutter = (width) => Math.round(Math.min(170, Math.max(84, width * 0.16)));

// As many as tell apart the times of an axis: steps are 1, 2, 2.5 or 5 times a power of ten.
function decimals(step) {
    const digits = -Math.floor(Math.log10(step) + 1e-9);
    const isQuarter = Math.abs(step * 10 ** digits - 2.5) < 1e-6;
    return Math.max(0, Math.min(9, digits + (isQuarter ? 1 : 0)));
}

export const FONT = "12px system-ui, sans-serif";

/** A time axis of uPlot. */
export const timeAxis = (options = {}) => ({
    stroke: () => colour("soft"),
    font: FONT,
    size: 26,
    gap: 3,
    space: 80,
    grid: { stroke: () => colour("grid"), width: 1 },
    ticks: { stroke: () => colour("grid"), width: 1, size: 5 },
    values: (_, splits, __, ___, step) => splits.map((t) => `${t.toFixed(decimals(step))} s`),
    ...options,
});

/** The range is the clock's, to the bit. */
export const timeScale = (clock) => ({ time: false, auto: false, range: () => [...clock.range] });

/** Draws the marks of the run over a plot. */
export function drawMarks(u, marks) {
    const { ctx, bbox } = u;
    const [from, to] = [u.scales.x.min, u.scales.x.max];
    ctx.save();
    ctx.strokeStyle = colour("mark");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    let last = -Infinity;
    for (const { t } of marks) {
        if (t < from || t > to) continue;
        const x = Math.round(u.valToPos(t, "x", true));
        if (x === last) continue;
        last = x;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
    }
    ctx.restore();
}

/** The clock follows the wheel (with Ctrl, or sideways), drags (with Shift: looks at what is selected) and two fingers. `tap`
 * is told of a click that is no drag. */
export function follow(u, clock, tap = () => {}) {
    const over = u.over;
    const fingers = new Map();
    let moved = 0,
        start = null;
    const time = (x) =>
        clock.range[0] +
        ((x - over.getBoundingClientRect().left) / over.clientWidth) * (clock.range[1] - clock.range[0]);
    over.style.touchAction = "pan-y";

    over.addEventListener(
        "wheel",
        (e) => {
            if (e.ctrlKey || e.metaKey) clock.zoom(Math.exp(e.deltaY * 0.003), time(e.clientX));
            else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY))
                clock.pan((e.deltaX || e.deltaY) / over.clientWidth);
            else return;
            e.preventDefault();
        },
        { passive: false },
    );

    function pinch(e, before) {
        const others = [...fingers].filter(([id]) => id !== e.pointerId).map(([, x]) => x);
        if (others.length === 0) return clock.pan((before - e.clientX) / over.clientWidth);
        const width = Math.abs(before - others[0]),
            now = Math.max(1, Math.abs(e.clientX - others[0]));
        clock.zoom(Math.max(0.2, width / now), time(others[0]));
    }

    over.addEventListener("pointerdown", (e) => {
        if (e.button !== 0) return;
        fingers.set(e.pointerId, e.clientX);
        moved = 0;
        start = e.shiftKey ? e.clientX : null;
        over.setPointerCapture(e.pointerId);
    });
    over.addEventListener("pointermove", (e) => {
        const before = fingers.get(e.pointerId);
        if (before === undefined) return;
        moved += Math.abs(e.clientX - before);
        if (start !== null) {
            const left = over.getBoundingClientRect().left;
            const [a, b] = [start - left, e.clientX - left].sort((x, y) => x - y);
            u.setSelect({ left: a, width: b - a, top: 0, height: over.clientHeight }, false);
        } else {
            if (moved > 3) pinch(e, before);
        }
        fingers.set(e.pointerId, e.clientX);
    });
    const end = (e) => {
        if (!fingers.delete(e.pointerId)) return;
        if (start !== null && moved > 3) clock.set(...[time(start), time(e.clientX)].sort((a, b) => a - b));
        else if (moved <= 3 && e.type === "pointerup") tap(e);
        start = null;
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    };
    over.addEventListener("pointerup", end);
    over.addEventListener("pointercancel", end);
    over.addEventListener("dblclick", () => clock.all());
}

/** Keys that move the range; whether this was one. */
export function moveByKey(e, clock) {
    if (e.ctrlKey || e.metaKey || e.altKey) return false;
    switch (e.key) {
        case "+":
        case "=":
            clock.zoom(0.5);
            return true;
        case "-":
        case "_":
            clock.zoom(2);
            return true;
        case "0":
            clock.all();
            return true;
        case "ArrowLeft":
            if (e.shiftKey) clock.pan(-0.25);
            return e.shiftKey;
        case "ArrowRight":
            if (e.shiftKey) clock.pan(0.25);
            return e.shiftKey;
        default:
            return false;
    }
}

const BUTTONS = [
    ["left", "\u25c0", "Earlier", (clock) => clock.pan(-0.25)],
    ["out", "\u2212", "Zoom out", (clock) => clock.zoom(2)],
    ["all", "All", "All", (clock) => clock.all()],
    ["in", "+", "Zoom in", (clock) => clock.zoom(0.5)],
    ["right", "\u25b6", "Later", (clock) => clock.pan(0.25)],
];

/** Puts buttons before those of a toolbar, which move the range of the clock that clockOf() gives. */
export function addButtons(toolbar, clockOf) {
    const button = ([name, sign, label, fn]) =>
        element(
            "button",
            { type: "button", id: `zoom-${name}`, "aria-label": label, click: () => fn(clockOf()) },
            sign,
        );
    toolbar.prepend(...BUTTONS.map(button));
}
