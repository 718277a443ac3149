// SPDX-License-Identifier: MIT
// What is said of one item of the timeline, a node or a link: a sheet at the bottom of the window.

import { element, terms } from "./elements.js";
import { bytes, counted, moment, seconds, settings, value } from "./format.js";
import { ending, taskEnding, taskLabel } from "./lanes.js";

// An output as it was kept: its beginning, how much is missing, its end.
function output(name, event) {
    const size = event[`${name}_bytes`] ?? 0,
        head = event[name],
        tail = event[`${name}_tail`];
    if (size === 0) return null;
    const title = element("h3", {}, `${name} (${bytes(size)})`);
    if (head === undefined)
        return [
            title,
            element("p", { class: "soft" }, "Not kept: the run's bound for outputs had been reached."),
        ];
    if (tail === undefined) return [title, element("pre", { tabindex: "0", class: name }, head)];
    return [
        title,
        element("pre", { tabindex: "0", class: name }, head),
        element(
            "p",
            { class: "soft" },
            `Only its beginning and its end were kept; about ${bytes(Math.max(0, size - 8192))} in between were not.`,
        ),
        element("pre", { tabindex: "0", class: name }, tail),
    ];
}

function command(event) {
    const started = event.started,
        finished = event.finished ?? event.t;
    const none = !event.stdout_bytes && !event.stderr_bytes;
    return [
        element("pre", { class: "cmd", tabindex: "0" }, event.cmd ?? ""),
        terms([
            ["node", event.node],
            ["ended", ending(event)],
            ["started", started === undefined ? "never" : moment(started)],
            ["finished", moment(finished)],
            ["took", started === undefined ? null : seconds(finished - started)],
            ["by", event.internal ? "qemunet itself" : null],
        ]),
        output("stdout", event),
        output("stderr", event),
        none ? element("p", { class: "soft" }, "It printed nothing.") : null,
    ];
}

const HIDDEN = new Set(["kind", "t", "cut_off"]);

function fields(event) {
    const pairs = Object.entries(event)
        .filter(([name]) => !HIDDEN.has(name))
        .sort(([a], [b]) => (a < b ? -1 : 1));
    const long = pairs.filter(([, v]) => typeof v === "string" && v.length > 80);
    return [
        terms([
            ["at", moment(event.t)],
            ...pairs
                .filter((pair) => !long.includes(pair))
                .map(([name, v]) => [
                    name,
                    name === "ab" || name === "ba" ? settings(v) || "perfect cable" : value(v),
                ]),
        ]),
        long.map(([name, v]) => [element("h3", {}, name), element("pre", { tabindex: "0" }, v)]),
    ];
}

function test(event) {
    return [
        terms([
            ["outcome", event.outcome],
            ["took", seconds(event.duration ?? 0)],
            ["why", event.why],
        ]),
        event.message ? element("pre", { tabindex: "0" }, event.message) : null,
    ];
}

// The task that started it, as far as that was recorded.
function starter(event, lane) {
    if (event.parent === undefined) return null;
    const bar = lane.bars.find((bar) => bar.event.task === event.parent);
    return `task ${value(event.parent)}${bar ? `, ${taskLabel(bar.event)}` : ""}`;
}

function task(event, lane) {
    const started = event.started;
    return [
        terms([
            ["task", value(event.task)],
            ["started with", event.name],
            ["in line", event.where],
            ["by", starter(event, lane)],
            ["began", started === undefined ? "never" : moment(started)],
            ["ended", moment(event.t)],
            ["took", started === undefined ? null : seconds(event.t - started)],
            ["how", taskEnding(event)],
        ]),
        event.error ? element("pre", { tabindex: "0" }, event.error) : null,
    ];
}

function ofItem(item) {
    const { event } = item;
    const bodies = { command, task, test };
    return {
        title:
            event.kind === "command"
                ? `Command on ${event.node}`
                : `${item.lane.title}: ${item.text}`.slice(0, 160),
        body: (Object.hasOwn(bodies, event.kind) ? bodies[event.kind] : fields)(event, item.lane),
    };
}

function ofCable(cable, run) {
    const counts = run.result.links?.[cable.name];
    const rows = ["ab", "ba"].map((way) => {
        const c = counts?.[way];
        const from = way === "ab" ? cable.a : (cable.b ?? "outside"),
            to = way === "ab" ? (cable.b ?? "outside") : cable.a;
        const lost = c
            ? c.lost + c.queue_drops + c.down_drops + c.mtu_drops + c.overruns + c.trigger_drops
            : 0;
        return element(
            "tr",
            {},
            [
                `${from} \u2192 ${to} (${way})`,
                cable[way] ? settings(cable[way]) || "perfect cable" : "as ns-3 simulates it",
                c ? counted(c.delivered, "packet") : "",
                c ? bytes(c.bytes) : "",
                c ? String(lost) : "",
                c ? seconds(c.lateness?.p99 ?? 0) : "",
            ].map((text) => element("td", {}, text)),
        );
    });
    const head = ["direction", "settings at the end", "delivered", "bytes", "dropped", "late by (99%)"].map(
        (text) => element("th", { scope: "col" }, text),
    );
    return {
        title: `Link ${cable.name}${cable.removed ? " (removed)" : cable.up === false ? " (down at the end)" : ""}`,
        body: [
            element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows)),
        ],
    };
}

function ofNode(node) {
    const place = node.position ? `${value(node.position.x)}, ${value(node.position.y)}` : null;
    return {
        title: node.name,
        body: [
            terms([
                ["kind", node.kind],
                ["image", node.image],
                ["memory", node.mem ? bytes(node.mem) : null],
                ["processors", node.cpus],
                ["addresses", Array.isArray(node.ip) ? node.ip.join(", ") : null],
                ["state at the end", node.state],
                ["position at the end", place],
            ]),
        ],
    };
}

/** The sheet: show({ item, cable or node }, from) opens it; Escape closes it, and the focus goes back to `from`. */
export function createDetails(sheet, run) {
    let opener = null;
    const title = element("h2", { id: "sheet-title" }),
        body = element("div", { class: "body" });
    const close = () => {
        if (sheet.hidden) return;
        sheet.hidden = true;
        document.body.classList.remove("with-sheet");
        opener?.focus({ preventScroll: true });
    };
    const button = element("button", { type: "button", "aria-label": "Close", click: close }, "\u2715");
    sheet.append(element("header", {}, title, button), body);
    sheet.setAttribute("aria-labelledby", "sheet-title");
    document.addEventListener("keydown", (e) => {
        if (e.key === "Escape") close();
    });
    return {
        close,
        show(what, from) {
            const shown = what.item
                ? ofItem(what.item)
                : what.cable
                  ? ofCable(what.cable, run)
                  : ofNode(what.node);
            title.textContent = shown.title;
            body.replaceChildren(...shown.body.flat(3).filter((part) => part !== null && part !== undefined));
            body.scrollTop = 0;
            opener = from ?? null;
            sheet.hidden = false;
            document.body.classList.add("with-sheet");
            button.focus({ preventScroll: true });
        },
    };
}
