// SPDX-License-Identifier: MIT
// What several runs measured over time, those of one name over one another in one plot, from the start of each run.

import { element } from "./elements.js";
import { createFigures, KINDS, lineOf, pieces } from "./figures.js";
import { bytes, counted, number } from "./format.js";

const HEIGHT = 190;
const OPEN = 2; // links whose plots are open from the beginning
const INKS = 8; // colours of the page's style
const DASHES = [undefined, [8, 4], [3, 3], [10, 3, 2, 3]];

// Repetitions share a colour; where the colours are used up, dashes tell groups apart.
const inkOf = (run) => `run${((run.group - 1) % INKS) + 1}`;
const dashOf = (run) => DASHES[Math.floor((run.group - 1) / INKS) % DASHES.length];

function collect(runs, things, key) {
    const found = new Map();
    for (const run of runs) {
        for (const thing of run[things]) {
            const name = key(thing);
            if (!found.has(name)) found.set(name, []);
            found.get(name).push({ run, thing });
        }
    }
    return found;
}

function addToggles(container, comparison, lines) {
    for (const run of comparison.runs) {
        const box = element("input", {
            type: "checkbox",
            checked: true,
            change: () => {
                for (const [plot, line, of] of lines) if (of === run) plot.show(line, box.checked);
            },
        });
        const swatch = element("i", { class: inkOf(run), "aria-hidden": "true" });
        const group = comparison.groups[run.group - 1]?.label;
        container.append(
            element(
                "label",
                {},
                box,
                swatch,
                `${run.number + 1} ${run.name}`,
                comparison.groups.length > 1 ? element("span", { class: "soft" }, group) : null,
            ),
        );
    }
}

export function createCurves(container, toggles, comparison, clock) {
    const { runs } = comparison;
    const figures = createFigures(container, [], clock, () => container.clientWidth, HEIGHT);
    const lines = [];
    let count = 0;
    const labelOf = (run, suffix = "") => `${run.number + 1} ${run.name}${suffix}`;

    // `curves`: { run, label, dash, table } of each line.
    function add(to, title, curves, shape, text) {
        const plot = figures.add(
            to,
            title,
            curves.map(({ run, label, dash }) => lineOf(label, inkOf(run), shape, text, dash)),
            curves.map(({ table }) => table),
            text,
        );
        curves.forEach(({ run }, i) => {
            lines.push([plot, i, run]);
            const box = toggles.querySelectorAll("input")[run.number];
            if (!box.checked) plot.show(i, false);
        });
    }

    const wayCurves = (ways, key) =>
        ways.flatMap(({ run, thing }) =>
            thing.ways
                .map((way, i) => ({ way, i }))
                .filter(({ way }) => way.t.length)
                .map(({ way, i }) => ({
                    run,
                    label: labelOf(run, i ? " ba" : " ab"),
                    dash: i ? [6, 3] : dashOf(run),
                    table: key === "delay" ? pieces(way, key) : [way.t, way[key]],
                })),
        );

    function addLink(name, ways, open) {
        const total = ways.reduce((sum, { thing }) => sum + thing.ways[0].bytes + thing.ways[1].bytes, 0);
        const box = element(
            "details",
            { class: "link", open },
            element("summary", {}, element("b", {}, name), ` ${bytes(total)} in ${counted(ways.length, "run")}`),
        );
        const fill = () => {
            for (const [title, key, text] of KINDS) {
                if (!ways.some(({ thing }) => thing.ways.some((way) => way[key].some((v) => v > 0))))
                    continue;
                const shape = key === "delay" ? "pieces" : "steps";
                add(box, `${name}: ${title}`, wayCurves(ways, key), shape, text);
            }
        };
        if (open) fill();
        else box.addEventListener("toggle", fill, { once: true });
        container.append(box);
    }

    addToggles(toggles, comparison, lines);
    for (const ways of collect(runs, "series", ({ name, unit }) => JSON.stringify([name, unit])).values()) {
        const { name, unit } = ways[0].thing;
        count++;
        const curves = ways.map(({ run, thing }) => ({
            run,
            label: labelOf(run),
            dash: dashOf(run),
            table: [thing.t, thing.v],
        }));
        add(container, unit ? `${name} (${unit})` : name, curves, "points", (v) => number(v, 5));
    }
    let open = OPEN;
    for (const [name, ways] of collect(runs, "links", ({ name }) => name)) {
        count++;
        addLink(name, ways, open-- > 0);
    }
    return { ...figures, count: () => count };
}
