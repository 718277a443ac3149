// SPDX-License-Identifier: MIT
// The page of one run.

import uPlot from "uplot";
import { addButtons, SYNC } from "./axis.js";
import { createClock } from "./clock.js";
import { readRun } from "./data.js";
import { createDetails } from "./details.js";
import { createCommands } from "./commands.js";
import { makeLanes } from "./lanes.js";
import { follow } from "./live.js";
import { createPlots } from "./plots.js";
import { showCards, showHead } from "./summary.js";
import { createTimeline } from "./timeline.js";
import { drawTopology } from "./topology.js";

const $ = (id) => document.getElementById(id);

const run = {};
const details = createDetails($("sheet"), run);
let clock, timeline, plots;

// An empty one in its place: what listened to the old one goes with it.
function renewed(id) {
    const fresh = $(id).cloneNode(false);
    $(id).replaceWith(fresh);
    return fresh;
}

/** Show the run that a page has, in place of what is shown. */
function show(page) {
    for (const plot of [...uPlot.sync(SYNC).plots]) plot.destroy();
    Object.assign(run, readRun(page, run.events));
    document.title = `${String(run.result.file ?? run.about.name ?? "run").replace(/^.*\//, "")}: ${run.result.verdict ?? "unknown"}`;
    showHead(renewed("head"), run);
    showCards(renewed("cards"), run);
    clock = createClock(run.end);
    const model = makeLanes(run);
    timeline = createTimeline(renewed("timeline"), model, clock, (item, from) =>
        details.show({ item }, from),
    );
    plots = createPlots(renewed("plots"), run, model.marks, clock, timeline.width);
    $("plots-title").hidden = $("plots").hidden = run.series.length + run.links.length === 0;
    createCommands(renewed("commands"), model, (item, from) => {
        timeline.choose(item, false);
        details.show({ item }, from);
    });
    fit();
    clock.flush();
}

// What the person has made of the page is there again behind `change`.
function keeping(change) {
    const { range, full } = clock;
    const all = range[0] <= full[0] && range[1] >= full[1];
    const lanes = () => document.querySelector(".lanes");
    const links = () => [...document.querySelectorAll("details.link")];
    const nameOf = (link) => link.querySelector("b").textContent;
    const top = scrollY,
        down = lanes().scrollTop,
        focused = document.activeElement === lanes(),
        open = new Map(links().map((link) => [nameOf(link), link.open]));
    change();
    for (const link of links()) link.open = open.get(nameOf(link)) ?? link.open;
    if (!all) clock.set(range[0], range[1]);
    lanes().scrollTop = down;
    if (focused) lanes().focus({ preventScroll: true });
    scrollTo({ top, behavior: "instant" });
}

// The layout of a large network takes its time; the rest need not wait for it.
let drawn = "";
function drawGraph() {
    const now = JSON.stringify([run.nodes, run.others, run.cables]);
    if (now !== drawn) $("topology").hidden = !drawTopology(renewed("graph"), run, details.show);
    drawn = now;
}

addButtons($("zoom"), () => clock);

function fit() {
    timeline.resize();
    plots.resize();
}

function print(on) {
    document.documentElement.classList.toggle("printing", on);
    timeline.print(on);
    if (on) plots.complete();
    plots.repaint();
}

addEventListener("resize", fit);
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    timeline.resize();
    plots.repaint();
});
show(document);
setTimeout(() => {
    drawGraph();
    document.documentElement.dataset.ready = "true";
});
if (document.getElementById("live"))
    follow(
        $("follow"),
        (page) => {
            keeping(() => show(page));
            drawGraph();
            return run.about.live === true;
        },
        () => run.next,
    );
