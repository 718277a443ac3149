// SPDX-License-Identifier: MIT
// What the run recorded, read from the page.

// An empty list of Lua's is an object in JSON.
export const list = (value) => (Array.isArray(value) ? value : []);

const textOf = (page, id) => page.getElementById(id)?.textContent ?? "";

function parsed(page, id, otherwise) {
    try {
        return JSON.parse(textOf(page, id));
    } catch {
        return otherwise;
    }
}

// A run that was killed may have left half a line.
function readEvents(page) {
    const events = [];
    for (const line of textOf(page, "events").split("\n")) {
        if (!line) continue;
        try {
            const event = JSON.parse(line);
            if (event && typeof event.t === "number" && typeof event.kind === "string") events.push(event);
        } catch {
            // left out
        }
    }
    return events;
}

const column = () => ({ t: [], v: [] });

function seriesOf(about, rows) {
    const all = list(about).map((one) => ({ ...one, ...column() }));
    for (const [number, t, value] of rows) {
        all[number]?.t.push(t);
        all[number]?.v.push(value);
    }
    return all;
}

const COLUMNS = ["rate", "delay", "worst", "lost", "queue"];

const direction = () => ({
    t: [],
    to: [],
    bytes: 0,
    drops: 0,
    ...Object.fromEntries(COLUMNS.map((name) => [name, []])),
});

function push(way, t, to, values) {
    way.t.push(t);
    way.to.push(to);
    COLUMNS.forEach((name, i) => way[name].push(values[i]));
}

// Nothing happened between two rows that do not touch.
const QUIET = [0, null, null, 0, 0];

function linksOf(names, rows, end) {
    const links = list(names).map((name) => ({ name, ways: [direction(), direction()] }));
    for (const [t, interval, number, dir, , delivered, bytes, lost, queue, delay, worst] of rows) {
        const way = links[number]?.ways[dir];
        if (!way || !(interval > 0)) continue;
        const before = way.to.at(-1) ?? 0;
        if (t > before + 1e-3) push(way, before, t, QUIET);
        const seen = delivered > 0;
        push(way, t, t + interval, [
            (bytes * 8) / interval,
            seen ? delay : null,
            seen ? worst : null,
            lost / interval,
            queue,
        ]);
        way.bytes += bytes;
        way.drops += lost;
    }
    for (const { ways } of links) {
        for (const way of ways) {
            const last = way.to.at(-1);
            if (last !== undefined && last < end) push(way, last, end, QUIET);
        }
    }
    return links;
}

/** The run that a page has: { result, events, series, links, nodes, others, cables, files, about, next }. Of a run that is under
 * way, a page may have only the events that are new, behind those `before`; the next begin at byte `next` of its file. */
export function readRun(page, before = []) {
    const about = parsed(page, "run", { result: { verdict: "unreadable" } });
    const live = parsed(page, "live", null);
    if (live) about.events = live;
    const result = about.result ?? {};
    const events = live?.from > 0 ? before.concat(readEvents(page)) : readEvents(page);
    const last = events.reduce((latest, event) => Math.max(latest, event.t, event.finished ?? 0), 0);
    const end = Math.max(Number(result.duration) || 0, last);
    const topology = result.topology ?? {};
    return {
        about,
        result,
        events,
        end,
        series: seriesOf(about.series?.list, parsed(page, "series", [])),
        links: linksOf(about.links, parsed(page, "links", []), end),
        nodes: list(topology.nodes),
        others: list(topology.others),
        cables: list(topology.links),
        files: list(about.files),
        next: live?.to ?? 0,
    };
}

/** Several runs: what the program made of them, and in each of `runs` its series and links. */
export function readComparison() {
    const about = parsed(document, "comparison", {});
    const series = parsed(document, "series", []),
        links = parsed(document, "links", []);
    const runs = list(about.runs).map((run, i) => ({
        ...run,
        number: i,
        series: seriesOf(run.series, list(series[i])),
        links: linksOf(run.links, list(links[i]), Number(run.duration) || 0),
    }));
    const tables = ["groups", "facts", "recorded", "tests", "notes"].map((name) => [name, list(about[name])]);
    return { ...Object.fromEntries(tables), runs, leftOut: about.recorded_left_out ?? 0 };
}
