// SPDX-License-Identifier: MIT
// Plots of what was measured over time, below the timeline and on its time axis. One is made when it comes into sight.

import uPlot from "uplot";
import { drawMarks, follow, FONT, gutter, moveByKey, RIGHT, SYNC, timeAxis, timeScale } from "./axis.js";
import { colour, element } from "./elements.js";
import { bytes, counted, number, rate, seconds } from "./format.js";
import { dropsOf } from "./lanes.js";

const HEIGHT = 118;
const OPEN = 4; // links whose plots are open from the beginning

// A value for each interval, as steps.
const STEPS = uPlot.paths.stepped({ align: 1 });

// How a line is drawn: as steps, as pieces, or from point to point.
const SHAPES = {
    steps: { paths: STEPS, points: { show: false } },
    pieces: { points: { show: false } },
    points: { points: { size: 4 } },
};

function lineOf(label, ink, shape, text, dash) {
    const value = (_, v) => (v === null || v === undefined ? "\u2013" : text(v));
    return { label, stroke: () => colour(ink), width: 1.5, dash, spanGaps: false, value, ...SHAPES[shape] };
}

// What is only known of some intervals: from begin to end of each, and nothing in between.
function pieces(way, key) {
    const t = [],
        v = [];
    way[key].forEach((value, i) => {
        t.push(way.t[i]);
        v.push(value);
        if (value === null) return;
        t.push(way.to[i] - (way.to[i] - way.t[i]) * 1e-6);
        v.push(value);
    });
    return [t, v];
}

// The columns of several lines by their times together.
const joined = (tables) => (tables.length === 1 ? tables[0] : uPlot.join(tables));

function plotOptions(clock, marks, lines, text, width) {
    return {
        width,
        height: HEIGHT,
        padding: [8, RIGHT, 0, 0],
        scales: { x: timeScale(clock), y: { range: (_, min, max) => span(min, max) } },
        legend: { live: true },
        cursor: {
            y: false,
            drag: { x: false, y: false, setScale: false },
            sync: { key: SYNC, scales: ["x", null] },
        },
        series: [
            {
                label: "time",
                value: (_, t) => (t === null || t === undefined ? "\u2013" : `${t.toFixed(3)} s`),
            },
            ...lines,
        ],
        axes: [
            timeAxis(),
            {
                size: (self) => gutter(self.width),
                stroke: () => colour("soft"),
                font: FONT,
                space: 28,
                grid: { stroke: () => colour("grid"), width: 1 },
                ticks: { show: false },
                values: (_, splits) => splits.map((v) => (v === null ? "" : text(v))),
            },
        ],
        hooks: { draw: [(self) => drawMarks(self, marks)] },
    };
}

// From 0 where that is near, and never empty.
function span(min, max) {
    if (min === null || max === null || min === undefined) return [0, 1];
    if (min >= 0 && min < max * 0.6) min = 0;
    if (min === max) return min === 0 ? [0, 1] : [min - Math.abs(min) * 0.1, max + Math.abs(max) * 0.1];
    return [min, max + (max - min) * 0.05];
}

export function createPlots(container, run, marks, clock, widthOf) {
    const plots = new Set();
    const sight = new IntersectionObserver(
        (entries) => {
            for (const { target, isIntersecting } of entries) {
                const plot = target.plot;
                plot.inSight = isIntersecting;
                if (isIntersecting) plot.update();
            }
        },
        { rootMargin: "200px" },
    );

    function addPlot(to, title, lines, tables, text) {
        const figure = element("figure", { class: "plot" }, element("figcaption", {}, title));
        let u = null,
            stale = true;
        const plot = {
            inSight: false,
            figure,
            update() {
                if (!u) {
                    u = new uPlot(plotOptions(clock, marks, lines, text, widthOf()), joined(tables), figure);
                    follow(u, clock);
                } else if (stale) {
                    if (u.width !== widthOf()) u.setSize({ width: widthOf(), height: HEIGHT });
                    u.setScale("x", { min: clock.range[0], max: clock.range[1] });
                }
                stale = false;
            },
            renew() {
                stale = true;
                if (plot.inSight && u) plot.update();
            },
            repaint: () => u?.redraw(false),
        };
        figure.plot = plot;
        figure.style.minHeight = `${HEIGHT + 50}px`;
        plots.add(plot);
        to.append(figure);
        sight.observe(figure);
    }

    const KINDS = [
        ["throughput", "rate", rate],
        ["delay", "delay", (v) => seconds(v)],
        ["loss", "lost", (v) => `${number(v, 3)} pkt/s`],
        ["queue", "queue", (v) => number(v, 3)],
    ];

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
                addPlot(box, `${link.name}: ${title}`, lines, tables, text);
            }
        };
        if (open) fill();
        else box.addEventListener("toggle", fill, { once: true });
        container.append(box);
    }

    for (const series of run.series) {
        const unit = series.unit ? ` (${series.unit})` : "";
        const text = (v) => number(v, 5);
        addPlot(
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

    container.addEventListener("keydown", (e) => {
        if (e.target === container && moveByKey(e, clock)) e.preventDefault();
    });
    clock.on(() => plots.forEach((plot) => plot.renew()));
    return {
        resize: () => plots.forEach((plot) => plot.renew()),
        repaint: () => plots.forEach((plot) => plot.repaint()),
        /** Make those that have not been in sight, for a print. */
        complete: () => plots.forEach((plot) => plot.update()),
        count: () => plots.size,
    };
}
