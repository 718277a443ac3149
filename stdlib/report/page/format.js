// SPDX-License-Identifier: MIT
// Figures as texts.

const trim = (number, digits) => String(Number(number.toPrecision(digits)));

/** Seconds, as "1.24 s", "20 ms", "3.5 µs". */
export function seconds(s, digits = 4) {
    const size = Math.abs(s);
    if (size >= 120) return `${Math.floor(s / 60)} min ${trim(s % 60, 3)} s`;
    if (size >= 1 || size === 0) return `${trim(s, digits)} s`;
    if (size >= 1e-3) return `${trim(s * 1e3, digits)} ms`;
    if (size >= 1e-6) return `${trim(s * 1e6, digits)} \u00b5s`;
    return `${trim(s * 1e9, digits)} ns`;
}

/** A moment of the experiment. */
export const moment = (t) => `${Number(t).toFixed(3)} s`;

function scaled(value, steps, digits) {
    for (const [size, unit] of steps) {
        if (Math.abs(value) >= size) return `${trim(value / size, digits)} ${unit}`;
    }
    const [size, unit] = steps[steps.length - 1];
    return `${trim(value / size, digits)} ${unit}`;
}

/** Bits a second. */
export const rate = (bps, digits = 3) =>
    scaled(
        bps,
        [
            [1e9, "Gbit/s"],
            [1e6, "Mbit/s"],
            [1e3, "kbit/s"],
            [1, "bit/s"],
        ],
        digits,
    );

/** Bytes. */
export const bytes = (n, digits = 3) =>
    scaled(
        n,
        [
            [2 ** 30, "GiB"],
            [2 ** 20, "MiB"],
            [2 ** 10, "KiB"],
            [1, "bytes"],
        ],
        digits,
    );

/** A number without more digits than say anything. */
export const number = (n, digits = 6) => (Number.isInteger(n) ? String(n) : trim(n, digits));

export const percent = (fraction) => `${trim(fraction * 100, 3)}%`;

/** "1 packet", "2 packets". */
export const counted = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

/** A name in so many letters: what tells names apart is often at their ends. */
export function shorten(name, letters) {
    if (name.length <= letters) return name;
    const end = Math.max(0, letters - 1) >> 1;
    return `${name.slice(0, Math.max(1, letters - 1 - end))}\u2026${end ? name.slice(-end) : ""}`;
}

/** Any value that was recorded. */
export function value(v) {
    if (typeof v === "number") return number(v);
    if (typeof v === "string") return v;
    return JSON.stringify(v);
}

// Of a link's settings, those that a person looks for first, in words.
const SETTINGS = [
    ["delay", (v) => seconds(v)],
    ["jitter", (v) => `\u00b1${seconds(v)}`],
    ["rate", (v) => rate(v)],
    ["trace", (v) => `trace ${v}`],
    ["loss", (v) => `loss ${percent(v)}`],
    ["burst", () => "burst loss"],
    ["duplicate", (v) => `duplicate ${percent(v)}`],
    ["corrupt", (v) => `corrupt ${percent(v)}`],
    ["reorder", (v) => `reorder ${percent(v)}`],
    ["queue", (v) => `queue ${v}`],
    ["discipline", (v) => v],
    ["mtu", (v) => `mtu ${v}`],
];

/** The settings of one direction in a few words. */
export function settings(values) {
    const known = SETTINGS.filter(
        ([name]) => values && values[name] !== undefined && values[name] !== false,
    ).map(([name, text]) =>
        typeof values[name] === "object" && name !== "burst" ? name : text(values[name]),
    );
    return known.join(", ");
}

/** Those of both directions: once when they are the same. */
export function bothSettings(link) {
    const ab = settings(link.ab),
        ba = settings(link.ba);
    if (ab === ba) return ab || "perfect cable";
    return `${ab || "perfect"} / ${ba || "perfect"}`;
}
