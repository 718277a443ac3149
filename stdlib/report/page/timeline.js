// SPDX-License-Identifier: MIT
// The timeline: lanes drawn by hand (painter.js) on a plot of uPlot, which gives the axis, the cursor and the canvas. Only what is
// in sight is drawn.

import uPlot from "uplot";
import { drawMarks, follow, FONT, gutter, moveByKey, RIGHT, SYNC, timeAxis, timeScale } from "./axis.js";
import { element } from "./elements.js";
import { moment, rate } from "./format.js";
import { describe, firstFrom, looksOf, measure, SIZE } from "./lanes.js";
import { drawLane, drawName, readColours } from "./painter.js";

const HEAD = 28; // of the axis
const TALLEST = 0.72; // of the window
const REACH = 5; // so far from an item, in pixels, it is still meant
const PRINTED = 6000; // pixels of lanes at most

function legend(lanes) {
    const looks = looksOf(lanes).map(([look, words, isPoint]) => {
        const sample = element("i", { class: isPoint ? "point" : null });
        sample.style.background = `var(--${look})`;
        return element("li", {}, sample, words);
    });
    const traffic = lanes.some((lane) => lane.traffic);
    const sample = element("i");
    sample.style.background = "var(--traffic)";
    if (traffic) looks.push(element("li", {}, sample, "traffic: ab above, ba below; red: packets dropped"));
    return element("ul", { class: "legend" }, looks);
}

export function createTimeline(container, model, clock, select) {
    const { lanes, marks } = model;
    const spacer = element("div", { class: "spacer" });
    const holder = element("div", { class: "holder" });
    const scroller = element(
        "div",
        {
            class: "lanes",
            tabindex: "0",
            role: "application",
            "aria-label":
                "Timeline. Arrow keys go from item to item and from lane to lane, Enter shows the item, plus and minus zoom, " +
                "Shift with an arrow pans, 0 shows all.",
        },
        spacer,
    );
    const said = element("div", { class: "said", role: "status", "aria-live": "polite" });
    const tip = element("div", { class: "tip", "aria-hidden": "true", hidden: true });
    const short = element("p", { class: "soft", hidden: true });
    spacer.append(holder);
    container.append(scroller, short, legend(model.lanes), tip, said);

    let top = 0;
    for (const lane of lanes) {
        measure(lane);
        lane.top = top;
        top += lane.height;
    }
    const total = top;
    let colours = readColours(),
        chosen = null,
        printing = false;

    const height = () =>
        Math.min(total, printing ? PRINTED : Math.max(200, Math.round(innerHeight * TALLEST)));
    const inView = () => (printing ? 0 : scroller.scrollTop);

    const u = new uPlot(
        {
            width: 600,
            height: 300,
            padding: [0, RIGHT, 0, 0],
            legend: { show: false },
            cursor: {
                y: false,
                points: { show: false },
                drag: { x: false, y: false, setScale: false },
                sync: { key: SYNC, scales: ["x", null] },
            },
            scales: { x: timeScale(clock), y: { auto: false, range: [0, 1] } },
            series: [{}, { paths: () => null, points: { show: false } }],
            axes: [
                timeAxis({ side: 0, size: HEAD }),
                {
                    size: (self) => gutter(self.width),
                    side: 3,
                    grid: { show: false },
                    ticks: { show: false },
                    values: () => [],
                },
            ],
            hooks: { draw: [draw] },
        },
        [
            [0, 1],
            [null, null],
        ],
        holder,
    );

    // Drawing ---------------------------------------------------------------------------------------------------------

    function drawChosen(p) {
        if (!chosen) return;
        const { ctx, x, k, left, right } = p;
        const x0 = Math.max(left, x(chosen.t0) - 6 * k),
            x1 = Math.min(right, Math.max(x(chosen.t1), x(chosen.t0) + 2 * k) + 4 * k);
        if (x1 < left || x0 > right) return;
        const [part, at] = partOf(chosen);
        ctx.strokeStyle = colours.focus;
        ctx.lineWidth = 2 * k;
        ctx.strokeRect(
            x0,
            p.top + (chosen.lane.top - inView() + at) * k,
            x1 - x0,
            (SIZE[part] ?? SIZE.row) * k - 2 * k,
        );
    }

    function draw(self) {
        const { ctx, bbox } = self,
            k = devicePixelRatio;
        const [from, to] = clock.range;
        const scale = bbox.width / (to - from);
        const p = {
            ctx,
            k,
            colours,
            from,
            to,
            left: bbox.left,
            right: bbox.left + bbox.width,
            top: bbox.top,
            x: (t) => bbox.left + (t - from) * scale,
            y: (lane, part) => bbox.top + (lane.top - inView() + lane.at[part]) * k,
        };
        ctx.save();
        ctx.beginPath();
        ctx.rect(0, bbox.top, bbox.left + bbox.width, bbox.height);
        ctx.clip();
        ctx.font = FONT.replace("12px", `${12 * k}px`);
        ctx.textBaseline = "middle";
        lanes.forEach((lane, i) => {
            const y = bbox.top + (lane.top - inView()) * k;
            if (y + lane.height * k < bbox.top || y > bbox.top + bbox.height) return;
            if (i % 2) {
                ctx.fillStyle = colours.stripe;
                ctx.fillRect(0, y, p.right, lane.height * k);
            }
            ctx.fillStyle = colours.line;
            ctx.fillRect(0, y, p.right, Math.max(1, k / 2));
            drawName(p, lane, y);
            ctx.save();
            ctx.beginPath();
            ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
            ctx.clip();
            drawLane(p, lane);
            ctx.restore();
        });
        drawChosen(p);
        ctx.restore();
        drawMarks(self, marks);
        if (printing) slice(ctx.canvas, k);
    }

    // On paper a picture of each lane, as one of all would not go from page to page.
    function slice(whole, k) {
        const edges = [0, HEAD, ...lanes.map((lane) => HEAD + lane.top + lane.height)];
        const slices = edges.slice(1).map((bottom, i) => {
            const top = Math.round(edges[i] * k),
                height = Math.round(bottom * k) - top;
            if (top + height > whole.height) return null;
            const part = element("canvas", { class: "slice", width: whole.width, height });
            part.getContext("2d").drawImage(whole, 0, -top);
            return part;
        });
        unslice();
        holder.append(...slices.filter(Boolean));
    }

    function unslice() {
        for (const part of holder.querySelectorAll(".slice")) part.remove();
    }

    // Finding ---------------------------------------------------------------------------------------------------------

    // The part of its lane that an item is in, and how far from the lane's top.
    function partOf(item) {
        const { lane } = item,
            row = lane.rows.findIndex((items) => items.includes(item));
        if (row >= 0) return ["row", lane.at.rows + row * SIZE.row];
        return lane.points.includes(item) ? ["points", lane.at.points] : ["band", lane.at.bands];
    }

    const perPixel = () => (clock.range[1] - clock.range[0]) / u.over.clientWidth;

    function nearest(items, t, end) {
        const reach = REACH * perPixel();
        let best = null,
            distance = reach;
        for (let i = firstFrom(items, t - reach, end); i < items.length && items[i].t0 <= t + reach; i++) {
            const item = items[i];
            const away = t < item.t0 ? item.t0 - t : t > item.t1 ? t - item.t1 : 0;
            if (away < distance || (away === distance && best && item.t0 > best.t0))
                [best, distance] = [item, away];
        }
        return best;
    }

    // What is at a place of the plot, in CSS pixels from its corner.
    function itemAt(left, y) {
        const t = clock.range[0] + left * perPixel(),
            at = y + inView();
        const lane = lanes.find((one) => at >= one.top && at < one.top + one.height);
        if (!lane) return {};
        const inside = at - lane.top;
        const within = (part, size) => inside >= lane.at[part] && inside < lane.at[part] + size;
        let item = null;
        if (within("points", SIZE.points) && lane.points.length)
            item = nearest(lane.points, t, (one) => one.t1);
        for (let n = 0; !item && n < lane.rows.length; n++) {
            if (inside >= lane.at.rows + n * SIZE.row && inside < lane.at.rows + (n + 1) * SIZE.row)
                item = nearest(lane.rows[n], t, (one) => one.reach);
        }
        if (!item && within("bands", SIZE.band))
            item = lane.bands.find((band) => t >= band.t0 && t <= band.t1) ?? null;
        return { lane, item, t, traffic: lane.traffic && within("traffic", SIZE.traffic) };
    }

    function trafficText(lane, t) {
        const words = lane.traffic.ways.map((way, dir) => {
            const i = firstFrom(way.to, t, (to) => to);
            return `${dir ? "ba" : "ab"} ${i < way.t.length && way.t[i] <= t ? rate(way.rate[i]) : "0 bit/s"}`;
        });
        return `${lane.title}, ${moment(t)}: ${words.join(", ")}`;
    }

    function showTip(e) {
        const box = u.over.getBoundingClientRect();
        const { lane, item, t, traffic } = itemAt(e.clientX - box.left, e.clientY - box.top);
        const text = item ? describe(item) : traffic ? trafficText(lane, t) : "";
        tip.hidden = !text;
        u.over.style.cursor = item ? "pointer" : "";
        if (!text) return;
        tip.textContent = text.length > 300 ? `${text.slice(0, 300)}\u2026` : text;
        const outer = container.getBoundingClientRect();
        tip.style.left = `${Math.max(0, Math.min(e.clientX - outer.left + 12, outer.width - tip.offsetWidth - 8))}px`;
        tip.style.top = `${e.clientY - outer.top + 16}px`;
    }

    u.over.addEventListener("mousemove", showTip);
    u.over.addEventListener("mouseleave", () => {
        tip.hidden = true;
    });

    function choose(item, open) {
        chosen = item;
        if (item) {
            clock.show(item.t0, item.t1);
            const above = item.lane.top,
                below = above + item.lane.height - (scroller.clientHeight - HEAD);
            if (scroller.scrollTop > above) scroller.scrollTop = above;
            else if (scroller.scrollTop < below) scroller.scrollTop = below;
            said.textContent = describe(item);
            if (open) select(item, scroller);
        }
        u.redraw(false);
    }

    follow(u, clock, (e) => {
        const box = u.over.getBoundingClientRect();
        const { item } = itemAt(e.clientX - box.left, e.clientY - box.top);
        if (item) choose(item, true);
    });

    // Keys ------------------------------------------------------------------------------------------------------------

    const filled = lanes.filter((lane) => lane.all.length);

    function inLane(lane, t) {
        return lane.all[
            Math.min(
                firstFrom(lane.all, t, (item) => item.t0),
                lane.all.length - 1,
            )
        ];
    }

    function step(by) {
        const { lane, number } = chosen;
        return lane.all[Math.min(Math.max(number + by, 0), lane.all.length - 1)];
    }

    function toLane(by) {
        const at = filled.indexOf(chosen.lane) + by;
        return filled[at] ? inLane(filled[at], chosen.t0) : chosen;
    }

    const MOVES = {
        ArrowLeft: () => step(-1),
        ArrowRight: () => step(1),
        ArrowUp: () => toLane(-1),
        ArrowDown: () => toLane(1),
        Home: () => chosen.lane.all[0],
        End: () => chosen.lane.all.at(-1),
    };

    scroller.addEventListener("keydown", (e) => {
        if (moveByKey(e, clock)) return e.preventDefault();
        if (e.key === "Enter" && chosen) choose(chosen, true);
        else if (MOVES[e.key] && filled.length && !e.ctrlKey && !e.metaKey)
            choose(chosen ? MOVES[e.key]() : inLane(filled[0], clock.range[0]), false);
        else return undefined;
        return e.preventDefault();
    });

    // Size ------------------------------------------------------------------------------------------------------------

    function resize() {
        colours = readColours();
        const h = height();
        scroller.style.height = printing ? "auto" : `${h + HEAD}px`;
        spacer.style.height = printing ? "auto" : `${total + HEAD}px`;
        u.setSize({ width: scroller.clientWidth, height: h + HEAD });
    }

    scroller.addEventListener("scroll", () => u.redraw(false), { passive: true });
    clock.on((min, max) => u.setScale("x", { min, max }));

    return {
        resize,
        choose,
        width: () => scroller.clientWidth,
        print(on) {
            printing = on;
            if (!on) unslice();
            const whole = lanes.filter((lane) => lane.top + lane.height <= PRINTED).length;
            short.hidden = !on || whole === lanes.length;
            short.textContent = `Of ${lanes.length} lanes, the first ${whole} are on paper.`;
            resize();
            u.redraw(false);
        },
    };
}
