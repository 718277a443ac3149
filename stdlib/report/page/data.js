// SPDX-License-Identifier: MIT
// What the run recorded, read from the page.

// An empty list of Lua's is an object in JSON.
const list = (value) => (Array.isArray(value) ? value : []);

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

function readSeries(page, about) {
    const all = list(about?.list).map((one) => ({ ...one, ...column() }));
    for (const [number, t, value] of parsed(page, "series", [])) {
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

function readLinks(page, names, end) {
    const links = list(names).map((name) => ({ name, ways: [direction(), direction()] }));
    for (const [t, interval, number, dir, , delivered, bytes, lost, queue, delay, worst] of parsed(
        page,
        "links",
        [],
    )) {
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

/** The run that a page has: { result, events, series, links, nodes, others, cables, files, about }. */
export function readRun(page) {
    const about = parsed(page, "run", { result: { verdict: "unreadable" } });
    const result = about.result ?? {};
    const events = readEvents(page);
    const last = events.reduce((latest, event) => Math.max(latest, event.t, event.finished ?? 0), 0);
    const end = Math.max(Number(result.duration) || 0, last);
    const topology = result.topology ?? {};
    return {
        about,
        result,
        events,
        end,
        series: readSeries(page, about.series),
        links: readLinks(page, about.links, end),
        nodes: list(topology.nodes),
        others: list(topology.others),
        cables: list(topology.links),
        files: list(about.files),
    };
}
