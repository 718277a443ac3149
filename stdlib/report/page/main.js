// SPDX-License-Identifier: MIT
// The page of one run.

import { createClock } from "./clock.js";
import { readRun } from "./data.js";
import { createDetails } from "./details.js";
import { createCommands } from "./commands.js";
import { makeLanes } from "./lanes.js";
import { createPlots } from "./plots.js";
import { showCards, showHead } from "./summary.js";
import { createTimeline } from "./timeline.js";
import { drawTopology } from "./topology.js";

const $ = (id) => document.getElementById(id);

const run = readRun();
document.title = `${String(run.result.file ?? run.about.name ?? "run").replace(/^.*\//, "")}: ${run.result.verdict ?? "unknown"}`;
showHead($("head"), run);
showCards($("cards"), run);

const clock = createClock(run.end);
const model = makeLanes(run);
const details = createDetails($("sheet"), run);
const timeline = createTimeline($("timeline"), model, clock, (item, from) => details.show({ item }, from));
const plots = createPlots($("plots"), run, model.marks, clock, timeline.width);
$("plots-title").hidden = run.series.length + run.links.length === 0;
createCommands($("commands"), model, (item, from) => {
    timeline.choose(item, false);
    details.show({ item }, from);
});

const BUTTONS = {
    in: () => clock.zoom(0.5),
    out: () => clock.zoom(2),
    left: () => clock.pan(-0.25),
    right: () => clock.pan(0.25),
    all: () => clock.all(),
};
for (const [name, fn] of Object.entries(BUTTONS)) $(`zoom-${name}`).addEventListener("click", fn);

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
fit();
clock.flush();
// The layout of a large network takes its time; the rest need not wait for it.
setTimeout(() => {
    $("topology").hidden = !drawTopology($("graph"), run, details.show);
    document.documentElement.dataset.ready = "true";
});
