// SPDX-License-Identifier: MIT
// Plots of what was measured over time, below the timeline and on its time axis.

import { element } from "./elements.js";
import { createFigures, KINDS, lineOf, pieces } from "./figures.js";
import { bytes, counted, number } from "./format.js";
import { dropsOf } from "./lanes.js";

const OPEN = 4; // links whose plots are open from the beginning

export function createPlots(container, run, marks, clock, widthOf) {
    const figures = createFigures(container, marks, clock, widthOf);

    function addLink(link, open) {
        const [ab, ba] = link.ways;
        const packets = dropsOf(link);
        const box = element(
            "details",
            { class: "link", open },
            element(
                "summary",
                {},
                element("b", {}, link.name),
                ` ab ${bytes(ab.bytes)}, ba ${bytes(ba.bytes)}`,
                packets ? element("span", { class: "bad" }, `, ${counted(packets, "packet")} lost`) : null,
            ),
        );
        const fill = () => {
            for (const [title, key, text] of KINDS) {
                if (!link.ways.some((way) => way[key].some((v) => v > 0))) continue;
                const ways = link.ways
                    .map((way, i) => [way, i ? "ba" : "ab", i ? "second" : "first", i ? [6, 3] : undefined])
                    .filter(([way]) => way.t.length);
                const isDelay = key === "delay";
                const lines = ways.map(([, name, ink, dash]) =>
                    lineOf(name, ink, isDelay ? "pieces" : "steps", text, dash),
                );
                const tables = ways.map(([way]) => (isDelay ? pieces(way, key) : [way.t, way[key]]));
                if (isDelay) {
                    ways.forEach(([way, name, ink]) => {
                        lines.push({ ...lineOf(`${name} max`, ink, "pieces", text, [2, 4]), width: 1 });
                        tables.push(pieces(way, "worst"));
                    });
                }
                figures.add(box, `${link.name}: ${title}`, lines, tables, text);
            }
        };
        if (open) fill();
        else box.addEventListener("toggle", fill, { once: true });
        container.append(box);
    }

    for (const series of run.series) {
        const unit = series.unit ? ` (${series.unit})` : "";
        const text = (v) => number(v, 5);
        figures.add(
            container,
            `${series.name}${unit}`,
            [lineOf(series.name, "first", "points", (v) => `${text(v)} ${series.unit ?? ""}`)],
            [[series.t, series.v]],
            text,
        );
    }
    const busy = [...run.links].sort(
        (a, b) => b.ways[0].bytes + b.ways[1].bytes - a.ways[0].bytes - a.ways[1].bytes,
    );
    const open = new Set(busy.slice(0, OPEN));
    for (const link of run.links) addLink(link, open.has(link));
    return figures;
}
