// SPDX-License-Identifier: MIT
// The page of several runs, side by side.

import { addButtons } from "./axis.js";
import { createClock } from "./clock.js";
import { createCurves } from "./curves.js";
import { readComparison } from "./data.js";
import { showFacts, showHead, showRecorded, showRuns, showTests } from "./tables.js";

const $ = (id) => document.getElementById(id);

const comparison = readComparison();
document.title = `${comparison.runs.length} runs compared`;
showHead($("head"), comparison);
showRuns($("runs"), comparison);
showFacts($("facts"), comparison);
$("recorded").hidden = !showRecorded($("recorded"), comparison);
$("tests").hidden = !showTests($("tests"), comparison);

const endOf = (run) =>
    run.series.reduce((end, { t }) => Math.max(end, t.at(-1) ?? 0), Number(run.duration) || 0);
const clock = createClock(Math.max(0, ...comparison.runs.map(endOf)));
const curves = createCurves($("plots"), $("toggles"), comparison, clock);
$("plots-section").hidden = curves.count() === 0;

addButtons($("zoom"), () => clock);

function print(on) {
    document.documentElement.classList.toggle("printing", on);
    if (on) curves.complete();
    curves.repaint();
}

addEventListener("resize", curves.resize);
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", curves.repaint);
clock.flush();
document.documentElement.dataset.ready = "true";
