// SPDX-License-Identifier: MIT
// How a lane is painted: of what falls on the same pixel only the first, or the worst. A painter `p` has the canvas' context,
// what is in sight (`from` and `to` in time; `left` and `right`), `k` pixels of the canvas for one of the page, x(t) and
// y(lane, part) for places on it, and the `colours`.

import { colour } from "./elements.js";
import { shorten } from "./format.js";
import { firstFrom, SIZE } from "./lanes.js";

const FIT = 0.9; // how much shorter a name that does not fit is tried next

// What must not be hidden by others on the same pixel.
const SEVERE = new Set(["failed", "fault", "bad", "mark", "late"]);

const COLOURS =
    "text soft line stripe focus back up booting paused off bad command failed internal fault late move test task mark " +
    "record change quiet console set trigger traffic onbar";

/** The colours of the page as it is now, by their names. */
export const readColours = () => Object.fromEntries(COLOURS.split(" ").map((name) => [name, colour(name)]));

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
        ctx.fillStyle = p.colours[band.look];
        ctx.fillRect(x0, y, Math.max(k, x1 - x0), h);
        ctx.globalAlpha = 1;
        ctx.fillRect(x0, y, Math.max(k, 2 * k), h);
        ctx.fillStyle = p.colours.text;
        fit(ctx, band.label, x0 + 6 * k, y + h / 2, x1 - x0 - 8 * k, k);
    }
}

function bar(p, item, x0, x1, y) {
    const { ctx, k } = p;
    const h = (SIZE.row - 3) * k,
        w = Math.max(SEVERE.has(item.look) ? 3 * k : 1.5 * k, x1 - x0);
    ctx.fillStyle = p.colours[item.look];
    ctx.fillRect(x0, y, w, h);
    if (w < 24 * k) return;
    ctx.fillStyle = p.colours.onbar;
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
        ctx.fillStyle = p.colours[item.look];
        ctx.beginPath();
        ctx.moveTo(at, y - r);
        ctx.lineTo(at + r, y);
        ctx.lineTo(at, y + r);
        ctx.lineTo(at - r, y);
        ctx.fill();
        if (lane.kind === "node" && item.look !== "fault") continue;
        const next = i + 1 < items.length ? Math.min(x(items[i + 1].t0), right) : right;
        if (at < texted || next - at < 40 * k) continue;
        ctx.fillStyle = p.colours.soft;
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
            ctx.fillStyle = p.colours.traffic;
            if (h > 0) ctx.fillRect(column, sign < 0 ? middle - h : middle, Math.max(k, end - column), h);
            ctx.fillStyle = p.colours.failed;
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
    ctx.fillStyle = p.colours.line;
    ctx.fillRect(left, middle, right - left, Math.max(1, k / 2));
}

/** Paint the name of a lane whose top is at `y`. */
export function drawName(p, lane, y) {
    const { ctx, k, left } = p;
    const room = left - 14 * k;
    let name = lane.title;
    for (let n = name.length; n > 2 && ctx.measureText(name).width > room; n = Math.min(n - 1, FIT * n))
        name = shorten(lane.title, Math.floor(n));
    ctx.fillStyle = lane.kind === "experiment" || lane.kind === "tasks" ? p.colours.soft : p.colours.text;
    ctx.textAlign = "right";
    ctx.fillText(name, left - 8 * k, y + (SIZE.gap / 2 + SIZE.band / 2) * k);
    ctx.textAlign = "left";
}

/** Paint what happened in a lane. */
export function drawLane(p, lane) {
    drawBands(p, lane);
    lane.rows.forEach((row, n) => drawRow(p, row, p.y(lane, "rows") + n * SIZE.row * p.k + p.k));
    drawPoints(p, lane);
    if (lane.traffic) drawTraffic(p, lane);
}
