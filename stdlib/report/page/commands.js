// SPDX-License-Identifier: MIT
// The commands as a table, which reads and prints where a drawing does not: those that failed first.

import { element } from "./elements.js";
import { moment, seconds } from "./format.js";
import { ending } from "./lanes.js";

const PAGE = 100;

function row(item, show) {
    const { event } = item;
    const button = element(
        "button",
        { type: "button", class: "link", click: (e) => show(item, e.currentTarget) },
        item.label || "(empty)",
    );
    return element(
        "tr",
        { class: item.look },
        element("td", { class: "figure" }, moment(item.t0)),
        element("td", {}, event.node),
        element("td", { class: "wide" }, button),
        element("td", {}, ending(event)),
        element("td", { class: "figure" }, seconds(item.t1 - item.t0, 3)),
    );
}

export function createCommands(container, model, show) {
    const all = model.lanes
        .flatMap((lane) => lane.bars)
        .filter((item) => item.event.kind === "command" && !item.event.internal);
    const rank = (item) => (item.look === "failed" ? 0 : 1);
    all.sort((a, b) => rank(a) - rank(b) || a.t0 - b.t0);
    const failed = all.filter((item) => item.look === "failed").length;
    container.hidden = all.length === 0;
    if (all.length === 0) return;
    const body = element("tbody");
    const head = ["at", "node", "command", "ended", "took"].map((text) =>
        element("th", { scope: "col" }, text),
    );
    const more = element("button", { type: "button" });
    let n = 0;
    const fill = () => {
        body.append(...all.slice(n, n + PAGE).map((item) => row(item, show)));
        n = Math.min(all.length, n + PAGE);
        more.hidden = n === all.length;
        more.textContent = `${Math.min(PAGE, all.length - n)} more of ${all.length}`;
    };
    more.addEventListener("click", fill);
    fill();
    const title = `Commands: ${all.length}${failed ? `, of which ${failed} failed` : ""}`;
    container.append(
        element("h2", {}, title),
        element(
            "div",
            { class: "scroll", tabindex: "0", role: "region", "aria-label": "Commands" },
            element("table", {}, element("thead", {}, element("tr", {}, head)), body),
        ),
        more,
    );
}
