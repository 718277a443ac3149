// SPDX-License-Identifier: MIT
// What a person sees of a run that is under way:  watch.mjs MODULES CHROMIUM QEMUNET FOLDER EXPERIMENT

import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, executablePath, qemunet, folder, experiment] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, "here.js"))("playwright-core");

const PATIENCE = 60000;
let passed = 0,
    failed = 0;

function check(what, ok, shown = "") {
    ok ? passed++ : failed++;
    console.log(`${ok ? "ok" : "not ok"} ${passed + failed} - ${what}${ok ? "" : `: ${shown}`}`);
}

/** A process of the program: `seen(pattern)` is its match in what it writes, `ended` its exit status. */
function start(...words) {
    const env = { ...process.env, XDG_RUNTIME_DIR: folder };
    const child = spawn(qemunet, words, { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
    let text = "",
        tell = () => {};
    child.stdout.on("data", (data) => {
        text += data;
        tell();
    });
    process.on("exit", () => child.kill());
    const ended = new Promise((resolve) => child.on("exit", resolve));
    const seen = (pattern) =>
        new Promise((resolve, reject) => {
            const late = () => reject(new Error(`no ${pattern} within ${PATIENCE} ms: ${text}`));
            setTimeout(late, PATIENCE).unref();
            tell = () => pattern.test(text) && resolve(text.match(pattern));
            tell();
        });
    return { seen, ended };
}

const run = start("run", "-q", "--allow-host", experiment, "--out", "live");
const events = join(folder, "live", "events.jsonl");
for (let n = 0; n < 600 && !existsSync(events); n++)
    await new Promise((resolve) => setTimeout(resolve, 50));
const watch = start("watch", "live");
const [address] = await watch.seen(/http:\S+/);

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(PATIENCE);
const harm = [];
page.on("dialog", (dialog) => {
    harm.push(`dialog ${dialog.message()}`);
    dialog.dismiss();
});
page.on("console", (message) => harm.push(`console: ${message.text()}`));
page.on("pageerror", (error) => harm.push(`error: ${error.stack}`));
page.on("request", (request) => request.url().startsWith(address) || harm.push(request.url()));
await page.goto(address);
await page.waitForSelector("html[data-ready]", { state: "attached" });

const verdict = () => page.locator(".verdict .badge").first().textContent();
const count = async () => {
    const title = page.locator("#commands h2");
    return (await title.count()) ? Number((await title.textContent()).match(/\d+/)[0]) : 0;
};
const until = (fn, argument) => page.waitForFunction(fn, argument, { timeout: PATIENCE });
const atLeast = (n) => until((n) => Number(document.querySelector("#commands h2")?.textContent.match(/\d+/)?.[0]) >= n, n);

check("the verdict is that it runs", /running/.test(await verdict()), await verdict());
const before = await count();
await atLeast(before + 10);
check("commands come by themselves", (await count()) > before);
await until(() => document.querySelector("details.link b"));
check("links are plotted", (await page.locator("details.link canvas").count()) > 0);

await page.click("#zoom-in");
await page.click("#zoom-in");
const labels = () => page.evaluate(() => performance.getEntriesByType("resource").length);
const fetched = await labels();
await until((n) => performance.getEntriesByType("resource").length > n + 1, fetched);
await page.locator("#follow").click();
check("the button pauses", (await page.locator("#follow").getAttribute("aria-pressed")) === "false");
const paused = await count();
const later = await labels();
await until((n) => performance.getEntriesByType("resource").length > n + 1, later);
check("nothing moves then", (await count()) === paused);
await page.locator("#follow").click();
await atLeast(paused + 1);

await page.locator("#commands button.link").first().click();
check("a command shows its output", /<script>alert/.test(await page.locator("#sheet").textContent()));
writeFileSync(join(folder, "go"), "");
await until(() => /Ended/.test(document.querySelector("#follow").textContent));
check("the page says the verdict at the end", /passed/.test(await verdict()), await verdict());
check("the sheet stays open", await page.locator("#sheet").isVisible());
check("watch ends with the run", (await watch.ended) === 0 && (await run.ended) === 0);
check("no harm", harm.length === 0, harm.join("; "));
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
