// SPDX-License-Identifier: MIT
// Several runs side by side, in tables: what they are, what differs in them, what they recorded, their tests.

import { fidelityBadge, outcomeBadge, verdictBadge } from "./badges.js";
import { element, fileLink, fitted } from "./elements.js";
import { bytes, number, percent, seconds } from "./format.js";

const th = (scope, text, attributes = {}) => element("th", { scope, ...attributes }, text);
const td = (attributes, ...children) => element("td", attributes, ...children);

function table(name, head, rows) {
    return element(
        "div",
        { class: "wide-table", tabindex: "0", role: "region", "aria-label": name },
        element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows)),
    );
}

// What is the same in all runs is there for who looks for it.
const folded = (summary, ...inside) =>
    element("details", { class: "same" }, element("summary", {}, summary), ...inside);

const runHead = (run) => th("col", `${run.number + 1} ${run.name}`);

// Where a run has nothing.
const NONE = "\u2013";
const isNone = (v) => v === false || v === null || v === undefined;

// What a page cannot hold it says that it does not.
function thinned(runs) {
    const most = (name) => Math.max(1, ...runs.map((run) => run[name] ?? 1));
    return [
        most("every") > 1
            ? `Of the values of a run's series, the least and the greatest of up to ${most("every")} are shown: series.csv has them all.`
            : null,
        most("joined") > 1
            ? `Intervals of links are up to ${most("joined")} times as long as in links.csv.`
            : null,
    ];
}

export function showHead(container, { runs, groups, notes, leftOut }) {
    const several = groups.filter((group) => group.runs.length > 1).length;
    const facts = [
        `${runs.length} runs`,
        groups.length === 1 ? "of the same parameters" : `${groups.length} sets of parameters`,
        several > 0 && groups.length > 1 ? `${several} of them repeated` : null,
    ];
    const unsound = runs.filter((run) => !isNone(run.fidelity) && run.fidelity !== "sound");
    const failed = runs.filter((run) => run.verdict !== "passed");
    const texts = [
        ...notes,
        failed.length ? `Did not pass: ${failed.map((run) => run.name).join(", ")}.` : null,
        unsound.length
            ? `This machine did not keep up in ${unsound.map((run) => `${run.name} (${run.fidelity})`).join(", ")}.`
            : null,
        ...thinned(runs),
        leftOut > 0 ? `${leftOut} names of recorded values are left out: result.json has them.` : null,
    ].filter(Boolean);
    container.append(
        element("h1", {}, "Runs compared"),
        element("p", { class: "facts" }, facts.filter(Boolean).join(" \u00b7 ")),
    );
    if (texts.length)
        container.append(
            element(
                "ul",
                { class: "notes" },
                texts.map((text) => element("li", {}, text)),
            ),
        );
}

const nameOf = (run) => (run.report ? fileLink(run.report, run.name) : String(run.name));

export function showRuns(container, { runs, groups }) {
    const isGrouped = groups.length > 1;
    const head = [
        "#",
        "run",
        isGrouped ? "with" : null,
        "verdict",
        "fidelity",
        "seed",
        "took",
        "started (UTC)",
    ]
        .filter(Boolean)
        .map((text) => th("col", text));
    const rows = runs.map((run) =>
        element(
            "tr",
            {},
            td(
                { class: "figure" },
                element("i", { class: `run${((run.group - 1) % 8) + 1}` }),
                ` ${run.number + 1}`,
            ),
            th("row", nameOf(run)),
            isGrouped ? td({}, groups[run.group - 1]?.label) : null,
            td(
                {},
                verdictBadge(String(run.verdict)),
                isNone(run.error) ? null : element("div", { class: "soft" }, String(run.error).slice(0, 200)),
            ),
            td(
                {},
                isNone(run.fidelity) ? NONE : fidelityBadge(String(run.fidelity)),
                isNone(run.reason) ? null : element("div", { class: "soft" }, run.reason),
            ),
            td({ class: "figure" }, isNone(run.seed) ? NONE : String(run.seed)),
            td({ class: "figure" }, seconds(Number(run.duration) || 0)),
            td(
                { class: "figure" },
                isNone(run.started) ? NONE : String(run.started).replace("T", " ").replace("Z", ""),
            ),
        ),
    );
    container.append(table("Table of runs", head, rows));
}

function factText(name, v) {
    if (isNone(v)) return NONE;
    return name === "memory" && typeof v === "number" ? bytes(v) : fitted(String(v));
}

function factRows(facts) {
    const rows = [];
    let section = null;
    for (const fact of facts) {
        rows.push(
            element(
                "tr",
                { class: fact.differs ? "differs" : null },
                td({ class: "soft" }, fact.section === section ? "" : fact.section),
                th("row", fact.name),
                fact.values.map((v) => {
                    const other = fact.differs && v !== fact.values[0];
                    const text = factText(fact.name, v);
                    return td({ class: other ? "other" : null }, text);
                }),
            ),
        );
        section = fact.section;
    }
    return rows;
}

export function showFacts(container, { facts, runs }) {
    const differing = facts.filter((fact) => fact.differs),
        same = facts.filter((fact) => !fact.differs);
    if (differing.length) {
        const head = [td({}, ""), td({}, ""), ...runs.map(runHead)];
        container.append(table("Table of differences", head, factRows(differing)));
        container.append(
            element("p", { class: "about" }, "Underlined: another value than that of the first run."),
        );
    } else container.append(element("p", {}, "Parameters, seed, versions and host are the same."));
    if (same.length) {
        const rows = same.map((fact) =>
            element(
                "tr",
                {},
                td({ class: "soft" }, fact.section),
                th("row", fact.name),
                td({}, factText(fact.name, fact.values[0])),
            ),
        );
        const head = [td({}, ""), td({}, ""), th("col", "all runs")];
        container.append(
            folded(`The same in all runs: ${same.length}`, table("What is the same", head, rows)),
        );
    }
}

// What is not to be cut in two.
const whole = (text) => element("span", { class: "whole" }, text);

const interval = (lo, hi) => `[${number(lo, 5)}, ${number(hi, 5)}]`;
const signed = (v, text) => (v > 0 ? `+${text}` : text);

// A mean, its interval below, and of how many.
function meanCell({ n, mean, lo, hi }, isMean) {
    return [
        element("span", { class: "value" }, number(mean, 6)),
        typeof lo === "number" ? element("div", { class: "soft" }, whole(interval(lo, hi))) : null,
        isMean ? element("div", { class: "soft" }, `n = ${n}`) : null,
    ];
}

// It differs if the interval of the difference is on one side of 0.
function differenceCell({ difference }) {
    if (!difference) return null;
    const { value, relative, lo, hi, p } = difference;
    const is = typeof lo === "number";
    const clear = is && (lo > 0 || hi < 0);
    const share = typeof relative === "number" ? ` (${signed(relative, percent(relative))})` : "";
    const main = signed(value, number(value, 5)) + share;
    return element(
        "div",
        { class: clear ? "difference clear" : "difference" },
        clear ? element("b", {}, main) : main,
        is
            ? [" ", whole(interval(lo, hi)), ", ", whole(`p ${p < 0.001 ? "< 0.001" : `= ${number(p, 2)}`}`)]
            : null,
    );
}

function groupCell(cell, isMean) {
    if (isNone(cell)) return td({}, NONE);
    if (cell.texts) return td({}, fitted(cell.texts.join(", ")));
    return td({ class: "figure" }, meanCell(cell, isMean || cell.n > 1), differenceCell(cell));
}

function runCell(cell) {
    if (isNone(cell)) return td({}, NONE);
    if (cell.text !== undefined) return td({}, fitted(String(cell.text)));
    if (cell.value !== undefined) return td({ class: "figure" }, number(cell.value));
    return td({ class: "figure" }, meanCell(cell, true));
}

export function showRecorded(container, { recorded, runs, groups }) {
    if (recorded.length === 0) return false;
    const isRepeated = groups.length < runs.length;
    const differing = recorded.filter((row) => row.differs),
        same = recorded.filter((row) => !row.differs);
    const groupHead = (group, i) =>
        th("col", [
            isRepeated ? group.label : `${i + 1} ${runs[i].name}`,
            element(
                "div",
                { class: "soft" },
                isRepeated ? `run${group.runs.length > 1 ? "s" : ""} ${group.runs.join(", ")}` : group.label,
            ),
        ]);
    const byGroup = (name, rows) =>
        table(
            name,
            [td({}, ""), ...groups.map(groupHead)],
            rows.map((row) =>
                element(
                    "tr",
                    {},
                    th("row", row.name),
                    row.groups.map((cell) => groupCell(cell, isRepeated)),
                ),
            ),
        );
    if (differing.length)
        container.append(byGroup(isRepeated ? "Recorded, by parameters" : "Recorded", differing));
    container.append(element("p", { class: "about" }, explanation(isRepeated)));
    if (isRepeated && differing.length) {
        const head = [td({}, ""), ...runs.map(runHead)];
        const rows = differing.map((row) => element("tr", {}, th("row", row.name), row.runs.map(runCell)));
        container.append(
            element(
                "details",
                { open: groups.length === 1 },
                element("summary", {}, "Of each run"),
                table("Recorded, of each run", head, rows),
            ),
        );
    }
    if (same.length)
        container.append(
            folded(`The same in all runs: ${same.length}`, byGroup("Recorded, the same in all runs", same)),
        );
    return true;
}

const explanation = (isRepeated) =>
    `${
        isRepeated
            ? "Means over runs of the same parameters (a list that a run recorded counts by its mean)"
            : "Of a list of numbers its mean"
    }; in brackets the 95% interval by Student's t. Below, from the second column on: how far from the first, and in per cent of it; where both have two values or more, the 95% interval of the difference and its p by Welch's t (Biometrika 34, 1947), in bold where the interval is on one side of 0. Of many intervals, one in twenty is so by chance.`;

export function showTests(container, { tests, runs }) {
    if (tests.length === 0) return false;
    const differing = tests.filter((test) => test.differs),
        same = tests.filter((test) => !test.differs);
    const cell = (outcome) => td({}, isNone(outcome) ? NONE : outcomeBadge(outcome));
    if (differing.length) {
        const head = [th("col", "test"), ...runs.map(runHead)];
        const rows = differing.map((test) => element("tr", {}, th("row", test.name), test.values.map(cell)));
        container.append(table("Tests whose outcomes differ", head, rows));
    } else container.append(element("p", {}, "The outcomes of all tests are the same."));
    if (same.length) {
        const rows = same.map((test) => element("tr", {}, th("row", test.name), cell(test.values[0])));
        const head = [th("col", "test"), th("col", "all runs")];
        container.append(folded(`The same in all runs: ${same.length}`, table("Other tests", head, rows)));
    }
    return true;
}
