// SPDX-License-Identifier: MIT
// Makes the one file that every report, or comparison, begins as:  node build.mjs NODE_MODULES SCRIPT PAGE OUT
// What a run recorded goes in at the place that the marker <!--data--> holds.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [given, scriptName, pageName, out] = process.argv.slice(2);
const modules = resolve(given);
const here = dirname(fileURLToPath(import.meta.url));
const esbuild = createRequire(join(modules, "here.js"))("esbuild");

function bundle(entry) {
    const { outputFiles } = esbuild.buildSync({
        entryPoints: [join(here, entry)],
        nodePaths: [modules],
        bundle: true,
        minify: true,
        write: false,
        charset: "ascii",
        target: ["chrome100", "firefox100", "safari15"],
        format: "iife",
        legalComments: "none",
        logLevel: "warning",
    });
    const text = outputFiles[0].text.trim();
    if (/<!--|<\/?(script|style)/i.test(text))
        throw new Error(`${entry}: the bundle would end its own element`);
    return text;
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

// The text goes in as it is: "$&" in it means nothing.
const put = (page, marker, text) => {
    if (page.split(marker).length !== 2) throw new Error(`${pageName}: want ${marker} once`);
    return page.replace(marker, () => text);
};

const script = bundle(scriptName);
const style = bundle("page.css");
const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; form-action 'none'`;
let page = readFileSync(join(here, pageName), "utf8");
page = put(page, "{{policy}}", policy);
page = put(page, "{{style}}", style);
page = put(page, "{{script}}", script);
put(page, "<!--data-->", "");
writeFileSync(out, page);
