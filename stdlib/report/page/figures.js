// SPDX-License-Identifier: MIT
// Figures of values over time, one below the other on one time axis. Each is made when it comes into sight.

import uPlot from "uplot";
import { drawMarks, follow, FONT, gutter, moveByKey, RIGHT, SYNC, timeAxis, timeScale } from "./axis.js";
import { colour, element } from "./elements.js";
import { number, rate, seconds } from "./format.js";

const HEIGHT = 118;

// A value for each interval, as steps.
const STEPS = uPlot.paths.stepped({ align: 1 });

const ROOM = 8; // pixels that each point has at least, on average, where points are drawn

// Also of points that are all at one moment, where there is no line to be seen.
const hasRoom = (u, _, first, last) => (last - first) * ROOM * devicePixelRatio <= u.bbox.width;

// How a line is drawn: as steps, as pieces, or from point to point.
const SHAPES = {
    steps: { paths: STEPS, points: { show: false } },
    pieces: { points: { show: false } },
    points: { points: { size: 4, show: hasRoom } },
};

/** A line of a figure. */
export function lineOf(label, ink, shape, text, dash) {
    const value = (_, v) => (v === null || v === undefined ? "\u2013" : text(v));
    return { label, stroke: () => colour(ink), width: 1.5, dash, spanGaps: false, value, ...SHAPES[shape] };
}

/** What is only known of some intervals: from begin to end of each, and nothing in between. */
export function pieces(way, key) {
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

// Of a line that has nothing at this very moment, the value that is nearest.
function nearest(u, series, index) {
    const values = u.data[series],
        t = u.data[0];
    if (index === null || index === undefined || values[index] !== undefined) return index;
    let before = index,
        after = index;
    while (before >= 0 && values[before] === undefined) before--;
    while (after < values.length && values[after] === undefined) after++;
    if (before < 0) return after < values.length ? after : null;
    return after < values.length && t[after] - t[index] < t[index] - t[before] ? after : before;
}

function plotOptions(clock, marks, lines, text, size) {
    return {
        ...size,
        padding: [8, RIGHT, 0, 0],
        scales: { x: timeScale(clock), y: { range: (_, min, max) => span(min, max) } },
        legend: { live: true },
        cursor: {
            y: false,
            dataIdx: nearest,
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

const LEAST = 1e-30; // uPlot's axes know no smaller steps

// From 0 where that is near, and never empty.
function span(min, max) {
    if (min === null || max === null || min === undefined) return [0, 1];
    if (Math.max(Math.abs(min), Math.abs(max)) < LEAST) return [0, 1];
    if (min >= 0 && min < max * 0.6) min = 0;
    if (min === max) return min === 0 ? [0, 1] : [min - Math.abs(min) * 0.1, max + Math.abs(max) * 0.1];
    return [min, max + (max - min) * 0.05];
}

// What a link does over time: title, column, and how a value is written.
export const KINDS = [
    ["throughput", "rate", rate],
    ["delay", "delay", (v) => seconds(v)],
    ["loss", "lost", (v) => `${number(v, 3)} pkt/s`],
    ["queue", "queue", (v) => number(v, 3)],
];

/** Figures in a container: add(to, title, lines, tables, text) puts one there, `tables` a pair of columns for each line. */
export function createFigures(container, marks, clock, widthOf, height = HEIGHT) {
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

    function add(to, title, lines, tables, text) {
        const figure = element("figure", { class: "plot" }, element("figcaption", {}, title));
        let u = null,
            stale = true;
        const plot = {
            inSight: false,
            figure,
            update() {
                if (!u) {
                    u = new uPlot(
                        plotOptions(clock, marks, lines, text, { width: widthOf(), height }),
                        joined(tables),
                        figure,
                    );
                    follow(u, clock);
                } else if (stale) {
                    if (u.width !== widthOf()) u.setSize({ width: widthOf(), height });
                    u.setScale("x", { min: clock.range[0], max: clock.range[1] });
                }
                stale = false;
            },
            renew() {
                stale = true;
                if (plot.inSight && u) plot.update();
            },
            repaint: () => u?.redraw(false),
            show(line, on) {
                lines[line].show = on;
                u?.setSeries(line + 1, { show: on });
            },
        };
        figure.plot = plot;
        figure.style.minHeight = `${height + 50}px`;
        plots.add(plot);
        to.append(figure);
        sight.observe(figure);
        return plot;
    }

    container.addEventListener("keydown", (e) => {
        if (e.target === container && moveByKey(e, clock)) e.preventDefault();
    });
    clock.on(() => plots.forEach((plot) => plot.renew()));
    return {
        add,
        resize: () => plots.forEach((plot) => plot.renew()),
        repaint: () => plots.forEach((plot) => plot.repaint()),
        /** Make those that have not been in sight, for a print. */
        complete: () => plots.forEach((plot) => plot.update()),
    };
}
