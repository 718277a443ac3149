// SPDX-License-Identifier: MIT
// The lanes of the timeline: one of the experiment, one of its tasks, one for each node, one for each link. A lane has bands
// (the state it is in), rows of bars that do not overlap (commands, faults), and points.

import { counted, moment, seconds, settings } from "./format.js";

// What more overlaps shares the last row.
const ROWS_MAX = 6,
    TASK_ROWS_MAX = 12;

export const SIZE = { band: 16, row: 18, points: 16, traffic: 18, gap: 8, least: 26 };

function newLane(kind, name, title) {
    return {
        kind,
        name,
        title: title ?? name,
        bands: [],
        bars: [],
        points: [],
        rows: [],
        traffic: null,
        all: [],
    };
}

const shown = (text) =>
    String(text ?? "")
        .replace(/\s+/g, " ")
        .trim();

/** How a command ended, in words. */
export function ending(event) {
    if (event.cut_off) return "cut off by the end of the run";
    if (event.error) return event.error;
    if (event.timed_out) return "timed out";
    if (event.signal) return `signal ${event.signal}`;
    return `status ${event.status ?? "unknown"}`;
}

function commandBar(event, teardown) {
    const failed = event.status !== 0 || event.timed_out || event.error;
    event.cut_off = failed && event.t >= teardown;
    const look = event.internal || event.cut_off ? "internal" : failed ? "failed" : "command";
    const t0 = event.started ?? event.finished ?? event.t,
        t1 = event.finished ?? event.t;
    return {
        t0,
        t1,
        look,
        label: shown(event.cmd),
        // There are many, and few are pointed at.
        get text() {
            return `command ${this.label}: ${ending(event)}, ${seconds(t1 - t0)}`;
        },
        event,
    };
}

function point(event, look, words) {
    const label = shown(words);
    return { t0: event.t, t1: event.t, look, label, text: label, event };
}

// Closes the band that is open, and opens one of the new state.
function enter(lane, t, label, look, event) {
    const open = lane.bands.at(-1);
    if (open && open.t1 === null) open.t1 = t;
    if (label) lane.bands.push({ t0: t, t1: null, label, look, text: label, event });
}

const STATES = {
    defined: "off",
    booting: "booting",
    up: "up",
    paused: "paused",
    down: "off",
    crashed: "bad",
    panicked: "bad",
};

const changed = (event) =>
    [
        ["ab", event.ab],
        ["ba", event.ba],
    ].map(([way, values]) => `${way}: ${settings(values) || "perfect"}`);

const BANDS = new Set(["added", "up", "down"]);

function linkEvent(lane, event) {
    const what = event.event;
    if (what === "added" || what === "up") enter(lane, event.t, "up", "up", event);
    else if (what === "down") enter(lane, event.t, "down", "bad", event);
    else if (what === "removed") enter(lane, event.t, null);
    if (what === "set") lane.points.push(point(event, "set", `set ${changed(event).join("; ")}`));
    else if (!BANDS.has(what)) lane.points.push(point(event, "change", `${what}`));
}

// A fault's end belongs to the bar that its start began.
function faultEvent(lane, event, open) {
    const key = `${event.fault} ${JSON.stringify(event.target ?? event.link ?? "")}`;
    const label = shown(`${event.fault}${event.skipped ? `: skipped, ${event.skipped}` : ""}`);
    const begun = open.get(key) ?? open.set(key, []).get(key);
    if (event.event === "start") {
        const bar = { t0: event.t, t1: null, look: "fault", label, text: `fault ${label}`, event };
        begun.push(bar);
        lane.bars.push(bar);
    } else if (event.event === "end" && begun.length) {
        const at = Math.max(
            0,
            begun.findIndex((bar) => bar.event.lasts === event.lasts),
        );
        begun.splice(at, 1)[0].t1 = event.t;
    } else {
        lane.points.push(point(event, "fault", `fault ${label} ${event.skipped ? "" : (event.event ?? "")}`));
    }
}

const OTHERS = {
    mark: (e) => ["mark", e.text],
    record: (e) => ["record", `record ${JSON.stringify(e.values)}`],
    repetition: (e) => ["record", `repetition ${e.name ?? ""} ${e.n}: ${e.value}`],
    shrink: (e) => ["record", `shrink run ${e.run}: ${e.faults} faults`],
    traffic: (e) => ["record", `${e.traffic} ${e.way}: ${e.event}`],
    storm: (e) => ["fault", `storm at switch ${e.switch}`],
    accel: (e) => ["change", e.kvm ? "accelerator: KVM" : `accelerator: TCG (${e.why ?? ""})`],
    radio: (e) => ["change", `radio ${e.radio}: ${e.event} ${e.node ?? ""}`],
    teardown: () => ["quiet", "teardown"],
    start: () => ["change", "start"],
    end: (e) => ["change", `end: ${e.verdict}`],
};

const ofNode = {
    command: (lane, e, teardown) => lane.bars.push(commandBar(e, teardown)),
    crash: (lane, e) => lane.points.push(point(e, "fault", "power cut")),
    qmp: (lane, e) => lane.points.push(point(e, "quiet", `QMP ${e.event}`)),
    console: (lane, e) => lane.points.push(point(e, "console", `console: ${e.text}`)),
    move(lane, e) {
        const to = (e.to ?? []).map((v) => Math.round(v)).join(", ");
        lane.bars.push({
            t0: e.t,
            t1: e.t + (e.duration ?? 0),
            look: "move",
            label: `moves to ${to}`,
            text: `moves to ${to}`,
            event: e,
        });
    },
    radio: (lane, e) => lane.points.push(point(e, "change", `radio ${e.radio}: ${e.event}`)),
};

const ofLink = {
    link: linkEvent,
    packet: (lane, e) =>
        lane.points.push(point(e, "trigger", `trigger ${e.filter}: packet of ${e.size} bytes, ${e.dir}`)),
    trigger: (lane, e) => lane.points.push(point(e, "quiet", `trigger ${e.filter}: ${e.event}`)),
};

const sameGroups = (a, b) => JSON.stringify(a.groups) === JSON.stringify(b.groups);
const groupsText = (e) => (e.groups ?? []).map((group) => [group].flat().join(", ")).join(" | ");

function spanOf(t0, t1, look, words, event) {
    const label = shown(words);
    return { t0, t1, look, label, text: label, event };
}

const ofExperiment = {
    sync(lane, e) {
        const label = `sync ${(e.nodes ?? []).join(", ")}: spread ${seconds(e.spread ?? 0)}`;
        lane.bars.push(spanOf(e.started ?? e.t, e.finished ?? e.t, "task", label, e));
    },
    busy(lane, e) {
        lane.bars.push(spanOf(e.t - e.seconds, e.t, "late", `computes without waiting ${e.where}`, e));
    },
    partition(lane, e) {
        const begun = lane.bars.findLast(
            (bar) => bar.event.kind === "partition" && bar.t1 === null && sameGroups(bar.event, e),
        );
        if (e.event === "healed" && begun) begun.t1 = e.t;
        else if (e.event === "cut")
            lane.bars.push(spanOf(e.t, null, "fault", `partition ${groupsText(e)}`, e));
        else lane.points.push(point(e, "fault", `partition ${e.event}`));
    },
    test(lane, e) {
        const look = e.outcome === "failed" ? "failed" : e.outcome === "skipped" ? "internal" : "test";
        lane.bars.push({
            t0: e.t - (e.duration ?? 0),
            t1: e.t,
            look,
            label: shown(e.name),
            text: `test ${shown(e.name)}: ${e.outcome}`,
            event: e,
        });
    },
};

const TASK_LOOKS = { returned: "task", failed: "failed" };

/** What a task is called: how it was started, and the line without its folder. */
export const taskLabel = (event) => shown(`${event.name} ${String(event.where).replace(/^.*\//, "")}`);

/** How a task ended, in words. */
export const taskEnding = (event) =>
    event.ended === "cut off" ? "cut off by the end of the run" : shown(event.ended);

const ofTasks = {
    task(lane, e) {
        const label = taskLabel(e),
            look = TASK_LOOKS[e.ended] ?? "internal";
        if (e.started === undefined) {
            lane.points.push(point(e, "quiet", `${label}: ${taskEnding(e)}, never begun`));
            return;
        }
        const text = `${label}: ${taskEnding(e)}, ${seconds(e.t - e.started)}`;
        lane.bars.push({ t0: e.started, t1: e.t, look, label, text, event: e });
    },
    tasks(lane, e) {
        const more = counted(e.count, "more task");
        lane.points.push(point(e, "quiet", `${taskLabel(e)}: ${more}, ${taskEnding(e)}, not recorded`));
    },
};

// Bars into rows in which they do not overlap.
function stack(lane) {
    lane.bars.sort((a, b) => a.t0 - b.t0 || b.t1 - a.t1);
    const ends = [],
        most = lane.kind === "tasks" ? TASK_ROWS_MAX : ROWS_MAX;
    for (const bar of lane.bars) {
        let row = ends.findIndex((end) => end <= bar.t0);
        if (row < 0) row = Math.min(ends.length, most - 1);
        ends[row] = Math.max(ends[row] ?? 0, bar.t1);
        (lane.rows[row] ??= []).push(bar);
    }
    // Of those that share a row, the latest end so far: where to begin to look.
    for (const row of lane.rows) {
        let latest = -Infinity;
        for (const bar of row) bar.reach = latest = Math.max(latest, bar.t1);
    }
}

function finish(lane, end) {
    for (const item of [...lane.bands, ...lane.bars]) {
        item.t1 ??= Math.max(end, item.t0);
        item.lane = lane;
    }
    stack(lane);
    lane.points.sort((a, b) => a.t0 - b.t0);
    for (const item of lane.points) item.lane = lane;
    lane.all = [...lane.bands, ...lane.bars, ...lane.points].sort((a, b) => a.t0 - b.t0);
    lane.all.forEach((item, i) => {
        item.number = i;
    });
}

// What a sampled interval of a link was, for who points at it.
function trafficOf(link) {
    const most = Math.max(1, ...link.ways.map((way) => way.rate.reduce((a, b) => Math.max(a, b), 0)));
    return { ways: link.ways, most };
}

/** What was dropped on both directions of a link in all. */
export const dropsOf = (link) => link.ways.reduce((sum, way) => sum + way.drops, 0);

// At the moment when it was worst, in the lane in which it was.
function tellLate(reason, event, lane) {
    lane.points.push(
        point(
            { ...reason, t: reason.t ?? event.t, kind: "fidelity" },
            "late",
            `${reason.verdict}: ${reason.text}`,
        ),
    );
}

/** The lanes of a run, the experiment's first, then its tasks', nodes, links; and the marks: [{ t, text }]. */
export function makeLanes(run) {
    const experiment = newLane("experiment", "experiment"),
        tasks = newLane("tasks", "tasks");
    const nodes = new Map(),
        links = new Map(),
        marks = [],
        open = new Map();
    const node = (name) => nodes.get(name) ?? nodes.set(name, newLane("node", String(name))).get(name);
    const link = (name) => links.get(name) ?? links.set(name, newLane("link", String(name))).get(name);
    for (const one of run.nodes) node(one.name);
    for (const one of run.cables) if (one.ab) link(one.name);

    const teardown = run.events.find((event) => event.kind === "teardown")?.t ?? Infinity;
    // A fault's target is a node's or a link's name, or several.
    const target = (event) => {
        const name = Array.isArray(event.target) ? event.target[0] : event.target;
        return links.get(name) ?? nodes.get(name) ?? experiment;
    };
    for (const event of run.events) {
        if (event.kind === "fidelity") {
            for (const reason of event.reasons ?? [])
                tellLate(reason, event, links.get(reason.link) ?? nodes.get(reason.node) ?? experiment);
            continue;
        }
        if (event.kind === "mark") marks.push({ t: event.t, text: shown(event.text) });
        if (event.kind === "fault") {
            faultEvent(target(event), event, open);
        } else if (event.node !== undefined && event.state !== undefined) {
            enter(node(event.node), event.t, event.state, STATES[event.state] ?? "off", event);
        } else if (event.node !== undefined && Object.hasOwn(ofNode, event.kind)) {
            ofNode[event.kind](node(event.node), event, teardown);
        } else if (event.link !== undefined && Object.hasOwn(ofLink, event.kind)) {
            ofLink[event.kind](link(event.link), event);
        } else if (Object.hasOwn(ofTasks, event.kind)) {
            ofTasks[event.kind](tasks, event);
        } else if (Object.hasOwn(ofExperiment, event.kind)) {
            ofExperiment[event.kind](experiment, event);
        } else {
            const [look, label] = Object.hasOwn(OTHERS, event.kind)
                ? OTHERS[event.kind](event)
                : ["change", event.kind];
            experiment.points.push(point(event, look, label));
        }
    }
    for (const sampled of run.links) link(sampled.name).traffic = trafficOf(sampled);
    const has = (lane) => lane.bars.length + lane.points.length > 0;
    const lanes = [experiment, ...[tasks].filter(has), ...nodes.values(), ...links.values()];
    for (const lane of lanes) finish(lane, run.end);
    return { lanes, marks };
}

// What the colours mean, in the order of the legend; points are drawn as diamonds.
const LOOKS = [
    ["command", "command", false],
    ["failed", "failed", false],
    ["internal", "qemunet's own, cancelled, or cut off", false],
    ["test", "test", false],
    ["task", "task", false],
    ["move", "movement", false],
    ["fault", "fault", false],
    ["late", "this machine did not keep up", true],
    ["console", "console line", true],
    ["quiet", "QMP and other details", true],
    ["set", "settings changed", true],
    ["trigger", "packet of a trigger", true],
    ["mark", "mark", true],
    ["record", "recorded", true],
];

/** The looks that some item of the lanes has: [[look, words, whether it is a point]]. */
export function looksOf(lanes) {
    const used = new Set(lanes.flatMap((lane) => lane.all).map((item) => item.look));
    return LOOKS.filter(([look]) => used.has(look));
}

/** Where the parts of a lane lie, in pixels from its top, and its height. */
export function measure(lane) {
    let y = SIZE.gap / 2;
    const place = (wanted, height) => {
        const at = y;
        if (wanted) y += height;
        return at;
    };
    lane.at = {
        bands: place(lane.bands.length, SIZE.band),
        rows: place(lane.rows.length, lane.rows.length * SIZE.row),
        points: place(lane.points.length, SIZE.points),
        traffic: place(lane.traffic, SIZE.traffic),
    };
    lane.height = Math.max(SIZE.least, y + SIZE.gap / 2);
}

/** What to say of an item. */
export const describe = (item) => `${item.lane.title}, ${moment(item.t0)}: ${item.text}`;

/** Which item of a row is the first that can reach to `t`; `end` says how far one reaches. */
export function firstFrom(items, t, end) {
    let low = 0,
        high = items.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (end(items[middle]) < t) low = middle + 1;
        else high = middle;
    }
    return low;
}
