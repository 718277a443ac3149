// SPDX-License-Identifier: MIT
// Verdicts, told by sign, word and colour.

import { element } from "./elements.js";

const VERDICTS = {
    passed: "good",
    failed: "bad",
    "machinery failed": "bad",
    "timed out": "bad",
    unsound: "bad",
    interrupted: "warn",
    skipped: "warn",
};
const SIGNS = { good: "\u2713", bad: "\u2715", warn: "\u25b3" };

// Looks: good, warn, bad.
function badge(text, look) {
    return element(
        "span",
        { class: `badge ${look}` },
        element("span", { "aria-hidden": "true" }, `${SIGNS[look]} `),
        text,
    );
}

const FIDELITY = { sound: "good", doubtful: "warn", unsound: "bad" };
const OUTCOMES = { passed: "good", failed: "bad", skipped: "warn" };

const lookOf = (looks, word) => (Object.hasOwn(looks, word) ? looks[word] : "warn");

export const verdictBadge = (verdict) => badge(verdict, lookOf(VERDICTS, verdict));
export const fidelityBadge = (verdict, text = verdict) => badge(text, lookOf(FIDELITY, verdict));
export const outcomeBadge = (outcome) => badge(outcome, lookOf(OUTCOMES, outcome));
