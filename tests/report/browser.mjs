// SPDX-License-Identifier: MIT
// What a person sees of reports, and what does no harm:  browser.mjs MODULES CHROMIUM QEMUNET FOLDER [pictures]
// With "pictures", screenshots and prints are left in FOLDER.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, executablePath, qemunet, folder, pictures] = process.argv.slice(2);
const require = createRequire(join(modules, "here.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PATIENCE = 60000;
const HOSTILE = "<img src=x onerror=alert(1)>";
let passed = 0,
    failed = 0;

function check(what, ok, shown = "") {
    ok ? passed++ : failed++;
    console.log(`${ok ? "ok" : "not ok"} ${passed + failed} - ${what}${ok ? "" : `: ${shown}`}`);
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** A run's report, or a page by its name, and what must not happen in it. */
async function open(name, options = {}) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
    page.setDefaultTimeout(PATIENCE);
    page.harm = [];
    page.on("dialog", (dialog) => {
        page.harm.push(`dialog ${dialog.message()}`);
        dialog.dismiss();
    });
    page.on("console", (message) => page.harm.push(`console: ${message.text()}`));
    page.on("pageerror", (error) => page.harm.push(`error: ${error.stack}`));
    const address = pathToFileURL(
        join(folder, name.endsWith(".html") ? name : join(name, "report.html")),
    ).href;
    page.on("request", (request) => request.url() === address || page.harm.push(`request: ${request.url()}`));
    await page.goto(address, { timeout: PATIENCE });
    await page.waitForSelector("html[data-ready]", { state: "attached" });
    return page;
}

const readResult = (name) => JSON.parse(readFileSync(join(folder, name, "result.json"), "utf8"));
const list = (value) => (Array.isArray(value) ? value : []);
const said = (page) => page.locator("#timeline .said").textContent();

/** The lanes, as somebody hears them who goes from one to the next by keyboard. */
async function lanesByKeyboard(page) {
    const names = new Set();
    await page.focus(".lanes");
    await page.keyboard.press("Home");
    for (let before = null; ;) {
        const text = await said(page);
        names.add(text.replace(/, \d.*$/s, ""));
        if (text === before) return names;
        before = text;
        await page.keyboard.press("ArrowDown");
    }
}

/** Clicks at a place of the lanes where the tip says what is wanted; it is looked for with made-up moves of the mouse. */
async function clickOn(page, wanted) {
    await page.locator(".lanes").scrollIntoViewIfNeeded();
    const place = await page.evaluate((wanted) => {
        const over = document.querySelector(".lanes .u-over"),
            tip = document.querySelector(".tip");
        const box = over.getBoundingClientRect();
        for (let y = box.top + 4; y < box.bottom; y += 5) {
            for (let x = box.left + 1; x < box.right; x += 3) {
                over.dispatchEvent(new MouseEvent("mousemove", { clientX: x, clientY: y, bubbles: true }));
                if (!tip.hidden && tip.textContent.includes(wanted)) return [x, y];
            }
        }
        return null;
    }, wanted);
    if (place) {
        await page.mouse.move(...place);
        await page.mouse.click(...place);
    }
    return place !== null;
}

async function axeProblems(page) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
    return violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`,
    );
}

async function takePictures(page, name) {
    if (!pictures) return;
    for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`), fullPage: true });
    }
    await page.pdf({ path: join(folder, `${name}.pdf`), format: "A4" });
}

/** On paper each lane has a picture of its own, which goes to the next page as a whole. */
async function checkSlices(page, name, lanes) {
    const slices = (event) =>
        page.evaluate(async (event) => {
            dispatchEvent(new Event(event));
            await new Promise((resolve) => setTimeout(resolve));
            return document.querySelectorAll(".slice").length;
        }, event);
    const printed = await slices("beforeprint"),
        after = await slices("afterprint");
    check(`${name}: a print has each lane below the axis`, printed === lanes + 1 && after === 0, `${printed}, ${after}`);
}

async function checkTask(page, name, task) {
    check(`${name}: a task can be pointed at`, await clickOn(page, task));
    const sheet = await page.locator("#sheet").textContent();
    check(`${name}: and its line be read`, sheet.includes(`${name}.lua:`), sheet.slice(0, 300));
    await page.keyboard.press("Escape");
}

async function checkExperiment(name, command, output, task) {
    const page = await open(name);
    const result = readResult(name);
    const verdict = await page.locator(".verdict .badge").first().textContent();
    check(`${name}: the verdict`, verdict.includes(result.verdict), verdict);
    const hasTasks = task !== undefined;
    const expected =
        1 + hasTasks + list(result.topology.nodes).length + list(result.topology.links).length;
    const lanes = await lanesByKeyboard(page);
    check(
        `${name}: a lane for the experiment, its tasks if it has any, each node and each link`,
        lanes.size === expected,
        `${lanes.size} of ${expected}: ${[...lanes]}`,
    );
    check(`${name}: a command can be pointed at`, await clickOn(page, `command ${command}`));
    const sheet = await page.locator("#sheet").textContent();
    check(`${name}: and its output be read`, sheet.includes(output), sheet.slice(0, 300));
    await page.keyboard.press("Escape");
    check(`${name}: Escape closes it`, await page.locator("#sheet").isHidden());
    if (hasTasks) await checkTask(page, name, task);
    const plots = await page.locator("figure.plot").count();
    check(`${name}: plots of its links`, plots >= 2, String(plots));
    await checkSlices(page, name, expected);
    await takePictures(page, name);
    for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        const problems = await axeProblems(page);
        check(`${name}: accessible, ${colorScheme}`, problems.length === 0, problems.join("\n  "));
    }
    check(`${name}: no harm`, page.harm.length === 0, page.harm.join("\n  "));
    await page.close();
}

async function checkKeyboard() {
    const page = await open("hello");
    await page.focus(".lanes");
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowDown"); // the experiment, its tasks, a
    await page.keyboard.press("Home");
    for (let i = 0; i < 20 && !(await said(page)).includes("command ping -c 1 b"); i++)
        await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    const sheet = await page.locator("#sheet").textContent();
    check("Enter shows the item", sheet.includes("1 packets transmitted"), sheet.slice(0, 300));
    await page.keyboard.press("Escape");
    check("the focus comes back", await page.evaluate(() => document.activeElement.className === "lanes"));
    await page.locator("#commands button").first().click();
    check("the table of commands shows them too", !(await page.locator("#sheet").isHidden()));
    await page.close();
}

/** What is on paper: all lanes, and the plots that had not been in sight; light, whatever the window is. */
async function checkPaper() {
    const page = await open("faults", { viewport: { width: 1280, height: 200 }, colorScheme: "dark" });
    const look = () =>
        page.evaluate(() => {
            const drawn = [...document.querySelectorAll("figure.plot")].map((plot) => !!plot.querySelector("canvas"));
            const { scrollHeight, clientHeight } = document.querySelector(".lanes");
            const paper = getComputedStyle(document.documentElement).getPropertyValue("--page").trim();
            return { drawn, isWhole: scrollHeight <= clientHeight + 1, paper };
        });
    const before = await look();
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    const printed = await look();
    check("print: the plots out of sight were not drawn before", before.drawn.includes(false), before.drawn);
    check("print: all are drawn", printed.drawn.length > 0 && !printed.drawn.includes(false), printed.drawn);
    check("print: all lanes are there", printed.isWhole && !before.isWhole, JSON.stringify([before, printed]));
    check("print: light", printed.paper !== before.paper, printed.paper);
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    check("print: then as before", (await look()).paper === before.paper && !(await look()).isWhole);
    check("print: no harm", page.harm.length === 0, page.harm.join("\n  "));
    await page.close();
}

async function checkHostile() {
    const page = await open("hostile");
    const result = readResult("hostile");
    check(
        "hostile: the verdict",
        (await page.locator(".verdict .badge").first().textContent()).includes(result.verdict),
    );
    check(
        "hostile: the failed test's message",
        (await page.locator(".failure").first().textContent()).includes('<script>alert("ran")</script>'),
    );
    for (const [command, wanted] of [
        ["printf '%s", "end of attack"],
        ["printf '\\001", "\u27e8U+202E\u27e9 control"],
        ["yes", "Only its beginning and its end were kept"],
    ]) {
        await page.getByRole("button", { name: command }).first().click();
        const sheet = await page.locator("#sheet").textContent();
        check(`hostile: the output of ${command}`, sheet.includes(wanted), sheet.slice(0, 400));
        await page.keyboard.press("Escape");
    }
    check("hostile: a task's error can be pointed at", await clickOn(page, "go hostile.lua:"));
    const told = await page.locator("#sheet pre").textContent();
    check("hostile: and be read", told.includes('<script>alert("ran")</script>'), told);
    await page.keyboard.press("Escape");
    const size = readFileSync(join(folder, "hostile", "report.html")).length;
    check("hostile: 10 MB of output are not in the page", size < 500000, String(size));
    const elements = await page.evaluate(() => [
        document.scripts.length,
        document.images.length,
        document.title,
    ]);
    check("hostile: nothing became an element", elements[0] === 5 && elements[1] === 0, String(elements));
    check("hostile: no harm", page.harm.length === 0, page.harm.join("\n  "));
    await takePictures(page, "hostile");
    await page.close();
}

// Milliseconds that the page's process has had a processor for, whatever else this machine does.
async function processorTime(page) {
    page.session ??= await page.context().newCDPSession(page);
    await page.session.send("Performance.enable");
    const { metrics } = await page.session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "ProcessTime").value * 1000;
}

// A run of many events, as no experiment makes it in a second.
function makeLarge(n) {
    const nodes = Array.from({ length: 24 }, (_, i) => ({
        name: `n${i + 1}`,
        kind: "vm",
        state: "up",
        position: { x: i % 12, y: i % 5 && 1 },
        mem: 2 ** 28,
    }));
    const links = nodes.slice(1).map((node, i) => ({
        name: `n${i + 1}--${node.name}`,
        a: `n${i + 1}`,
        b: node.name,
        up: true,
        ab: { delay: 0.01 },
        ba: { delay: 0.01 },
    }));
    const duration = 600,
        events = nodes.map(({ name }, i) => ({ t: 0.1 + i * 0.01, kind: "vm", node: name, state: "up" }));
    for (let i = events.length; i < n; i++) {
        const t = 1 + (i / n) * (duration - 2),
            node = nodes[i % nodes.length].name;
        if (i % 3 === 0) events.push({ t, kind: "console", node, text: `line ${i}` });
        else
            events.push({
                t,
                kind: "command",
                node,
                cmd: `ping -c 1 n${i % 7}`,
                status: i % 211 ? 0 : 1,
                started: t - 0.02 - (i % 17) * 0.01,
                finished: t,
                stdout_bytes: 20,
                stdout: `64 bytes from ${i}`,
                stderr_bytes: 0,
            });
    }
    const rows = ["t,interval,link,dir,sent,delivered,bytes,lost,queue,delay_mean,delay_max"];
    for (let t = 1; t < duration; t += 0.5) {
        for (const { name } of links)
            rows.push(
                `${t.toFixed(4)},0.5000,${name},ab,10,10,${Math.round(1000 + 900 * Math.sin(t))},0,3,0.01,0.012`,
            );
    }
    mkdirSync(join(folder, "large", "console"), { recursive: true });
    writeFileSync(
        join(folder, "large", "events.jsonl"),
        events.map((event) => `${JSON.stringify(event)}\n`).join(""),
    );
    writeFileSync(join(folder, "large", "links.csv"), `${rows.join("\n")}\n`);
    writeFileSync(
        join(folder, "large", "result.json"),
        JSON.stringify({
            verdict: "passed",
            file: "large.lua",
            duration,
            topology: { nodes, links, others: [] },
        }),
    );
}

async function checkLarge(n) {
    makeLarge(n);
    const written = Date.now();
    execFileSync(qemunet, ["report", join(folder, "large")]);
    console.log(`# ${n} events: the report took ${Date.now() - written} ms to write`);
    const started = Date.now();
    const page = await open("large");
    const opened = Date.now() - started;
    const spent = await processorTime(page);
    const frames = await page.evaluate(async () => {
        const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        const lanes = document.querySelector(".lanes"),
            times = [];
        const press = (key, shiftKey) =>
            lanes.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true }));
        for (let i = 0; i < 40; i++) {
            const t = performance.now();
            if (i < 12) press("+");
            else if (i < 28) press("ArrowRight", true);
            else press("-");
            await frame();
            times.push(performance.now() - t);
        }
        return times.sort((a, b) => a - b);
    });
    const step = ((await processorTime(page)) - spent) / frames.length;
    const figures = `opened in ${opened} ms, zooming and panning at ${Math.round(frames[20])} ms a frame (median; ${Math.round(frames.at(-1))} ms at most); of processor time, ${Math.round(spent)} ms and ${Math.round(step)} ms a frame`;
    console.log(`# ${n} events: ${figures}`);
    check("50,000 events: little work to open and to move", spent < 3000 && step < 100, figures);
    check("50,000 events: no harm", page.harm.length === 0, page.harm.join("\n  "));
    await takePictures(page, "large");
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    const places = await page.evaluate(() =>
        [...document.querySelectorAll(".graph .node")].map((node) => node.getAttribute("transform")),
    );
    check("nodes at one place do not hide each other", new Set(places).size === 24, places.join(" "));
    check("50,000 events: paper has all lanes", await page.getByText("are on paper").isHidden());
    await page.close();
}

// What a table of the page says: its rows, by the text of their heads, as texts of the cells.
const tableOf = (page, name) =>
    page
        .locator(`.wide-table[aria-label="${name}"]`)
        .evaluate((region) =>
            Object.fromEntries(
                [...region.querySelectorAll("tbody tr")].map((row) => [
                    row.querySelector("th").textContent,
                    [...row.querySelectorAll("td")].map((cell) => cell.textContent),
                ]),
            ),
        );

// one: delay 10 ms; two: 20 ms, and a hostile text; three: as two.
async function checkComparison() {
    const page = await open("comparison.html");
    const runs = await tableOf(page, "Table of runs");
    check("comparison: the runs", Object.keys(runs).join() === "one,two,three", JSON.stringify(runs));
    check(
        "comparison: their verdicts",
        runs.one[2].includes("passed") && runs.two[2].includes("failed"),
        runs.one,
    );
    const differing = await tableOf(page, "Table of differences");
    check(
        "comparison: parameters that differ",
        differing.delay?.slice(1).join() === "10,20,20" && differing.seed?.slice(1).join() === "1,2,3",
        JSON.stringify(differing),
    );
    check("comparison: a hostile parameter", differing.note?.[2] === HOSTILE, JSON.stringify(differing.note));
    check("comparison: and none that do not", !("rounds" in differing), JSON.stringify(differing));
    const values = await tableOf(page, "Recorded, by parameters");
    check(
        "comparison: a mean over two runs, with its interval and its difference",
        /^40.*n = 2.*\+100%/.test(values.rtt_ms?.[1]) && /^20.*n = 1/.test(values.rtt_ms?.[0]),
        JSON.stringify(values),
    );
    check(
        "comparison: a hostile name",
        Object.keys(values).some((name) => name.includes("<script>")),
        Object.keys(values),
    );
    await page.getByText("Of each run", { exact: true }).click();
    const each = await tableOf(page, "Recorded, of each run");
    check(
        "comparison: each run's own interval",
        each.rtt_ms?.[1] === "40[37.516, 42.484]n = 3",
        JSON.stringify(each),
    );
    const tests = await tableOf(page, "Tests whose outcomes differ");
    const outcomes = Object.entries(tests).map(([name, cells]) => `${name.slice(0, 4)} ${cells.join()}`);
    check(
        "comparison: tests that differ",
        outcomes.length === 1 && /^fast .*passed.*failed.*failed/.test(outcomes[0]),
        outcomes,
    );
    const plot = page.locator("figure.plot").first();
    await plot.scrollIntoViewIfNeeded();
    await plot.locator(".u-legend").waitFor();
    const legend = await plot.locator(".u-legend").textContent();
    check(
        "comparison: series over one another",
        ["1 one", "2 two", "3 three"].every((name) => legend.includes(name)),
        legend,
    );
    const before = await plot.locator("canvas").screenshot();
    await page.getByLabel("1 one").focus();
    await page.keyboard.press("Space");
    const after = await plot.locator("canvas").screenshot();
    check(
        "comparison: a run is hidden by keyboard",
        !before.equals(after) && !(await page.getByLabel("1 one").isChecked()),
    );
    await page.keyboard.press("Space");
    check("comparison: and back again", (await plot.locator("canvas").screenshot()).equals(before));
    await takePictures(page, "comparison");
    for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        const problems = await axeProblems(page);
        check(`comparison: accessible, ${colorScheme}`, problems.length === 0, problems.join("\n  "));
    }
    const elements = await page.evaluate(() => [document.scripts.length, document.images.length]);
    check("comparison: nothing became an element", elements.join() === "4,0", String(elements));
    check("comparison: no harm", page.harm.length === 0, page.harm.join("\n  "));
    await page.close();
}

await checkExperiment("hello", "ping -c 20", "20 packets transmitted", "after hello.lua:");
await checkExperiment("faults", "echo", "ended");
await checkExperiment("suite", "ping", "packets transmitted");
await checkKeyboard();
await checkPaper();
await checkHostile();
await checkComparison();
await checkLarge(50000);
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
