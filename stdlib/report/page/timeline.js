// SPDX-License-Identifier: MIT
// The timeline: lanes drawn by hand on a plot of uPlot, which gives the axis, the cursor and the canvas. Only what is in sight
// is drawn, and of what falls on the same pixel only the first, or the worst.

import uPlot from "uplot";
import { drawMarks, follow, FONT, gutter, moveByKey, RIGHT, SYNC, timeAxis, timeScale } from "./axis.js";
import { colour, element } from "./elements.js";
import { moment, rate, shorten } from "./format.js";
import { describe, looksOf, measure, SIZE } from "./lanes.js";

const HEAD = 28; // of the axis
const FIT = 0.9; // how much shorter a name that does not fit is tried next
const TALLEST = 0.72; // of the window
const REACH = 5; // so far from an item, in pixels, it is still meant
const PRINTED = 6000; // pixels of lanes at most

// What must not be hidden by others on the same pixel.
const SEVERE = new Set(["failed", "fault", "bad", "mark", "late"]);

// The first of a row that can reach to `t`.
function firstFrom(items, t, end) {
    let low = 0,
        high = items.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (end(items[middle]) < t) low = middle + 1;
        else high = middle;
    }
    return low;
}

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
    let colours = {},
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

    function readColours() {
        const names = [
            "text",
            "soft",
            "line",
            "stripe",
            "focus",
            "back",
            "up",
            "booting",
            "paused",
            "off",
            "bad",
            "command",
            "failed",
            "internal",
            "fault",
            "late",
            "move",
            "test",
            "task",
            "mark",
            "record",
            "change",
            "quiet",
            "console",
            "set",
            "trigger",
            "traffic",
            "onbar",
        ];
        colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
    }

    // Drawing ---------------------------------------------------------------------------------------------------------

    // A text as far as it fits; the width of a character is taken as that of an average one.
    function fit(ctx, text, x, y, room, k) {
        const letters = Math.floor(room / (6.4 * k));
        if (letters < 2) return;
        ctx.fillText(text.length > letters ? `${text.slice(0, letters - 1)}\u2026` : text, x, y);
    }

    function drawBands(p, lane) {
        const { ctx, x, k, left, right } = p;
        const y = p.y(lane, "bands") + k,
            h = (SIZE.band - 3) * k;
        for (const band of lane.bands) {
            const x0 = Math.max(left, x(band.t0)),
                x1 = Math.min(right, x(band.t1));
            if (x1 < left || x0 > right) continue;
            ctx.globalAlpha = 0.32;
            ctx.fillStyle = colours[band.look];
            ctx.fillRect(x0, y, Math.max(k, x1 - x0), h);
            ctx.globalAlpha = 1;
            ctx.fillRect(x0, y, Math.max(k, 2 * k), h);
            ctx.fillStyle = colours.text;
            fit(ctx, band.label, x0 + 6 * k, y + h / 2, x1 - x0 - 8 * k, k);
        }
    }

    function bar(p, item, x0, x1, y) {
        const { ctx, k } = p;
        const h = (SIZE.row - 3) * k,
            w = Math.max(SEVERE.has(item.look) ? 3 * k : 1.5 * k, x1 - x0);
        ctx.fillStyle = colours[item.look];
        ctx.fillRect(x0, y, w, h);
        if (w < 24 * k) return;
        ctx.fillStyle = colours.onbar;
        fit(
            ctx,
            item.look === "failed" ? `\u2715 ${item.label}` : item.label,
            x0 + 5 * k,
            y + h / 2,
            w - 8 * k,
            k,
        );
    }

    function drawRow(p, row, y) {
        const { x, k, left, right, from, to } = p;
        let end = -Infinity;
        const severe = [];
        for (let i = firstFrom(row, from, (item) => item.reach); i < row.length && row[i].t0 <= to; i++) {
            const item = row[i];
            if (item.t1 < from) continue;
            const x0 = Math.max(left, x(item.t0)),
                x1 = Math.min(right, x(item.t1));
            if (SEVERE.has(item.look)) severe.push([item, x0, x1]);
            else if (x1 >= end + k * 0.5) {
                bar(p, item, x0, x1, y);
                end = Math.max(x1, x0 + 1.5 * k);
            }
        }
        let last = -Infinity;
        for (const [item, x0, x1] of severe) {
            if (x1 < last + k) continue;
            bar(p, item, x0, x1, y);
            last = Math.max(x1, x0 + 2 * k);
        }
    }

    function drawPoints(p, lane) {
        const { ctx, x, k, from, to, right } = p;
        const y = p.y(lane, "points") + (SIZE.points / 2) * k,
            r = 4.5 * k;
        const items = lane.points;
        let last = -Infinity,
            texted = -Infinity;
        for (let i = firstFrom(items, from, (item) => item.t1); i < items.length && items[i].t0 <= to; i++) {
            const item = items[i],
                at = x(item.t0);
            if (at < last + (SEVERE.has(item.look) ? 1.5 : 3) * k) continue;
            last = at;
            ctx.fillStyle = colours[item.look];
            ctx.beginPath();
            ctx.moveTo(at, y - r);
            ctx.lineTo(at + r, y);
            ctx.lineTo(at, y + r);
            ctx.lineTo(at - r, y);
            ctx.fill();
            if (lane.kind === "node" && item.look !== "fault") continue;
            const next = i + 1 < items.length ? Math.min(x(items[i + 1].t0), right) : right;
            if (at < texted || next - at < 40 * k) continue;
            ctx.fillStyle = colours.soft;
            fit(ctx, item.label, at + 8 * k, y, next - at - 14 * k, k);
            texted = next - 4 * k;
        }
    }

    // The rate of each direction, up from the middle and down from it; what was dropped, in the colour of faults.
    function drawTraffic(p, lane) {
        const { ctx, x, k, left, right, from, to } = p;
        const middle = p.y(lane, "traffic") + ((SIZE.traffic - 2) / 2) * k,
            most = (SIZE.traffic / 2 - 2) * k;
        lane.traffic.ways.forEach((way, dir) => {
            const sign = dir ? 1 : -1;
            let column = null,
                rates = 0,
                drops = 0,
                end = 0;
            const put = () => {
                const h = Math.max(rates > 0 ? k : 0, (rates / lane.traffic.most) * most);
                ctx.fillStyle = colours.traffic;
                if (h > 0) ctx.fillRect(column, sign < 0 ? middle - h : middle, Math.max(k, end - column), h);
                ctx.fillStyle = colours.failed;
                if (drops > 0)
                    ctx.fillRect(
                        column,
                        sign < 0 ? middle - most - k : middle + most - k,
                        Math.max(2 * k, end - column),
                        2 * k,
                    );
            };
            for (let i = firstFrom(way.to, from, (t) => t); i < way.t.length && way.t[i] <= to; i++) {
                const x0 = Math.round(Math.max(left, x(way.t[i]))),
                    x1 = Math.round(Math.min(right, x(way.to[i])));
                if (column === x0) {
                    rates = Math.max(rates, way.rate[i]);
                    drops += way.lost[i];
                    end = Math.max(end, x1);
                    continue;
                }
                if (column !== null) put();
                [column, rates, drops, end] = [x0, way.rate[i], way.lost[i], x1];
            }
            if (column !== null) put();
        });
        ctx.fillStyle = colours.line;
        ctx.fillRect(left, middle, right - left, Math.max(1, k / 2));
    }

    function drawName(p, lane, y) {
        const { ctx, k, left } = p;
        const room = left - 14 * k;
        let name = lane.title;
        for (let n = name.length; n > 2 && ctx.measureText(name).width > room; n = Math.min(n - 1, FIT * n))
            name = shorten(lane.title, Math.floor(n));
        ctx.fillStyle = lane.kind === "experiment" || lane.kind === "tasks" ? colours.soft : colours.text;
        ctx.textAlign = "right";
        ctx.fillText(name, left - 8 * k, y + (SIZE.gap / 2 + SIZE.band / 2) * k);
        ctx.textAlign = "left";
    }

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
            drawBands(p, lane);
            lane.rows.forEach((row, n) => drawRow(p, row, p.y(lane, "rows") + n * SIZE.row * k + k));
            drawPoints(p, lane);
            if (lane.traffic) drawTraffic(p, lane);
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
        readColours();
        const h = height();
        scroller.style.height = printing ? "auto" : `${h + HEAD}px`;
        spacer.style.height = printing ? "auto" : `${total + HEAD}px`;
        u.setSize({ width: scroller.clientWidth, height: h + HEAD });
    }

    scroller.addEventListener("scroll", () => u.redraw(false), { passive: true });
    clock.on((min, max) => u.setScale("x", { min, max }));
    readColours();

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
