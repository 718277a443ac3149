// SPDX-License-Identifier: MIT
// What comes first: the verdict, what failed and where, and whether the machine kept up; and what the run was made of.

import { fidelityBadge, outcomeBadge, verdictBadge } from "./badges.js";
import { element, fileLink, fitted, terms, visible } from "./elements.js";
import { bytes, counted, moment, number, percent, seconds, value } from "./format.js";

const list = (v) => (Array.isArray(v) ? v : []);

function headline(run) {
    const { result } = run;
    const verdict = String(result.verdict ?? "unknown");
    const kept = result.fidelity?.verdict;
    const started = result.started
        ? `started ${String(result.started).replace("T", " ").replace("Z", " UTC")}`
        : "";
    const facts = [
        result.duration !== undefined ? `${seconds(Number(result.duration))} long` : null,
        started,
        result.seed !== undefined ? `seed ${result.seed}` : null,
    ];
    return [
        element("h1", {}, String(result.file ?? run.about.name ?? "A run").replace(/^.*\//, "")),
        element(
            "p",
            { class: "verdict" },
            verdictBadge(verdict),
            kept && kept !== "sound" && kept !== verdict ? fidelityBadge(kept, `fidelity: ${kept}`) : null,
            element("span", { class: "facts" }, facts.filter(Boolean).join(" \u00b7 ")),
        ),
    ];
}

function failure(title, message, trace) {
    return element(
        "section",
        { class: "failure" },
        element("h3", {}, title),
        message ? element("pre", { tabindex: "0" }, message) : null,
        trace
            ? element(
                  "details",
                  { open: true },
                  element("summary", {}, "Where"),
                  element("pre", { tabindex: "0" }, trace),
              )
            : null,
    );
}

function failures(result) {
    const failed = list(result.tests)
        .filter((test) => test.outcome === "failed")
        .map((test) => failure(`Test ${test.number ?? ""}: ${test.name}`, test.message, test.traceback));
    const own = result.error && result.verdict !== "passed" && (failed.length === 0 || result.trace);
    return [
        own
            ? failure(result.verdict === "skipped" ? "Skipped" : "What failed", result.error, result.trace)
            : null,
        ...failed,
    ];
}

// What of the fabric's counts is not the emulation's doing.
const COUNTS = [
    ["overruns", "dropped because a receiver was too slow"],
    ["no_memory", "dropped for want of memory"],
    ["triggers_missed", "triggers missed"],
    ["verdicts_missed", "verdicts missed"],
    ["hop_drops", "went round a loop"],
    ["storm_drops", "not flooded because of a loop"],
];

// What fidelity is judged by: words, and how a value is written.
const MEASURES = {
    lateness: ["packets late, 99% by up to", (v) => seconds(v)],
    cpu_wait: ["machines waited for a processor", percent],
    loop_lag: ["control loop late, 99% of the time by up to", (v) => seconds(v)],
    drift: ["guests' clocks off by", (v) => seconds(v)],
    losses: ["packets lost to this machine", percent],
    ns3_lateness: ["events of ns-3 late, 99% by up to", (v) => seconds(v)],
};

function measured({ measures = {}, thresholds = {} }) {
    return Object.keys(MEASURES)
        .filter((name) => typeof measures[name]?.value === "number")
        .map((name) => {
            const [words, text] = MEASURES[name];
            const limit = typeof thresholds[name] === "number" ? ` (limit ${text(thresholds[name])})` : "";
            return [words, text(measures[name].value) + limit];
        });
}

const reasonText = ({ text, t }) => `${text}${typeof t === "number" ? `, worst at ${moment(t)}` : ""}`;

function fidelity({ fidelity: given, fabric }) {
    if (!given && !fabric) return null;
    const reasons = list(given?.reasons).map((reason) => element("li", {}, reasonText(reason)));
    const verdict = given?.verdict;
    return element(
        "section",
        { class: "card" },
        element("h2", {}, "Fidelity"),
        verdict ? element("p", {}, fidelityBadge(verdict)) : null,
        reasons.length ? element("ul", {}, reasons) : null,
        terms([
            ...measured(given ?? {}),
            ["packets", fabric ? number(fabric.lateness?.count ?? 0) : null],
            ...COUNTS.filter(([name]) => fabric?.[name] > 0).map(([name, words]) => [
                words,
                number(fabric[name]),
            ]),
        ]),
    );
}

// Tables of the script's own, as JSON in lines.
function recordedValue(v) {
    const isList = Array.isArray(v) && v.every((one) => typeof one !== "object");
    const isTable = typeof v === "object" && v !== null && !isList;
    const text = isTable ? JSON.stringify(v, null, 1) : isList ? v.map(value).join(", ") : value(v);
    return isTable ? element("pre", { tabindex: "0" }, text) : fitted(text);
}

function recorded(result) {
    const pairs = Object.entries(result.recorded ?? {});
    if (pairs.length === 0) return null;
    const rows = pairs.map(([name, v]) =>
        element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, recordedValue(v))),
    );
    return element(
        "section",
        { class: "card" },
        element("h2", {}, "Recorded"),
        element("table", {}, element("tbody", {}, rows)),
    );
}

function setting(run) {
    const { result } = run;
    const parameters = Object.entries(result.parameters ?? {}).map(([name, v]) => [name, value(v)]);
    const { host = {}, versions = {} } = result;
    return element(
        "section",
        { class: "card" },
        element("h2", {}, "Set-up"),
        terms([
            ["file", result.file],
            ["arguments", list(result.args).join(" ")],
            ...parameters.map(([name, v]) => [`--param ${name}`, v]),
            ["seed", result.seed],
            ["qemunet", versions.qemunet],
            ["QEMU", versions.qemu],
            ["accelerator", versions.accelerator],
            ["guest's kernel", versions.guest_kernel],
            ["Lua", versions.lua?.replace?.("Lua ", "")],
            ["host's kernel", host.kernel],
            ["processors", host.cpus ? `${host.cpus} (${host.machine})` : null],
            ["memory", host.memory ? bytes(host.memory) : null],
        ]),
    );
}

function files(run) {
    if (run.files.length === 0) return null;
    const links = run.files.map((path) => element("li", {}, fileLink(path, path)));
    return element(
        "section",
        { class: "card" },
        element("h2", {}, "Files"),
        element("ul", { class: "files" }, links),
    );
}

function tests(result) {
    const all = list(result.tests);
    if (all.length === 0) return null;
    const count = (outcome) => all.filter((test) => test.outcome === outcome).length;
    const rows = all.map((test) =>
        element(
            "tr",
            {},
            element("td", {}, String(test.number ?? "")),
            element("td", {}, outcomeBadge(test.outcome)),
            element(
                "td",
                { class: "wide" },
                test.name,
                test.why ? element("span", { class: "soft" }, ` (${visible(test.why)})`) : null,
            ),
            element("td", { class: "figure" }, seconds(test.duration ?? 0, 3)),
        ),
    );
    const head = ["#", "outcome", "test", "took"].map((text) => element("th", { scope: "col" }, text));
    return element(
        "section",
        { class: "card tests" },
        element(
            "h2",
            {},
            `Tests: ${count("passed")} passed, ${count("failed")} failed, ${count("skipped")} skipped`,
        ),
        element(
            "div",
            { class: "scroll", tabindex: "0", role: "region", "aria-label": "Tests" },
            element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows)),
        ),
    );
}

// What a page cannot hold it says that it does not.
function notes(run) {
    const { events = {}, series = {} } = run.about;
    const texts = [];
    if (events.left_out > 0)
        texts.push(
            `${counted(events.left_out, "event")} of ${events.total.toLocaleString("en")} are left out here, successful commands, console lines and packets first: events.jsonl has them all.`,
        );
    if (series.every > 1)
        texts.push(
            `Of ${series.total.toLocaleString("en")} values of series, the least and the greatest of each ${series.every} are shown: series.csv has them all.`,
        );
    if (run.result.verdict === "unfinished")
        texts.push("There is no result.json: the run did not come to its end.");
    return texts.length
        ? element(
              "ul",
              { class: "notes" },
              texts.map((text) => element("li", {}, text)),
          )
        : null;
}

const add = (container, ...parts) => container.append(...parts.flat().filter(Boolean));

export function showHead(container, run) {
    add(container, headline(run), notes(run), failures(run.result));
}
export function showCards(container, run) {
    add(container, fidelity(run.result), recorded(run.result), tests(run.result), setting(run), files(run));
}
