// SPDX-License-Identifier: MIT
// The topology as a drawing: nodes where they are, if that is known, else where forces put them.

import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY } from "d3-force";
import { drawing, element } from "./elements.js";
import { bothSettings, shorten } from "./format.js";

const LABELLED_LINKS = 30,
    LABELLED_NODES = 150;
const TICKS = 300,
    TICKS_MANY = 90,
    MANY = 300;
const FEW = 40,
    ATTEMPTS = 8;

const CLOSE = 70,
    ROOMY = 120; // between neighbours, without and with room for the settings

const LONGEST = 34,
    LONGEST_NAME = 22;

// Half of what a name takes below its node; the longest may touch.
const reach = ({ name }) => Math.max(26, Math.min(name.length, LONGEST_NAME) * 2.9);

const APART = 32; // nodes that are nearer hide each other

const OUTSIDE = "outside";

// Of links to the same two ends, those behind the first are bowed.
function parallels(edges) {
    const seen = new Map();
    for (const edge of edges) {
        const key = [edge.source.name, edge.target.name].sort().join("\n");
        edge.bow = seen.get(key) ?? 0;
        seen.set(key, edge.bow + 1);
    }
}

function makeGraph(run) {
    const points = new Map();
    for (const node of [...run.nodes, ...run.others]) points.set(node.name, { ...node, degree: 0 });
    const edges = [];
    for (const cable of run.cables) {
        if (cable.removed && run.cables.length > 500) continue;
        const name = cable.b ?? `${OUTSIDE} ${cable.name}`;
        if (!points.has(name)) points.set(name, { name, kind: OUTSIDE, degree: 0 });
        const source = points.get(cable.a),
            target = points.get(name);
        if (!source || !target) continue;
        source.degree++;
        target.degree++;
        edges.push({ source, target, cable });
    }
    parallels(edges);
    return { points: [...points.values()], edges };
}

const isPlaced = (point) =>
    point.position && Number.isFinite(point.position.x) && Number.isFinite(point.position.y);

// Those at one place would hide each other: they stand around it.
function spread(placed) {
    const there = placed.map(({ fx, fy }) => ({ fx, fy }));
    placed.forEach((p, i) => {
        const before = there.slice(0, i).filter((q) => Math.hypot(q.fx - p.fx, q.fy - p.fy) < APART).length;
        if (before === 0) return;
        p.fx += APART * Math.sqrt(before) * 1.4 * Math.cos(before * 2.4);
        p.fy += APART * Math.sqrt(before) * 1.4 * Math.sin(before * 2.4);
    });
}

// Into the same size, whatever the places are in; north is up.
function place(points) {
    const placed = points.filter(isPlaced);
    const xs = placed.map((p) => p.position.x),
        ys = placed.map((p) => p.position.y);
    const least = (list) => list.reduce((a, b) => Math.min(a, b), Infinity),
        most = (list) => list.reduce((a, b) => Math.max(a, b), -Infinity);
    const size = Math.max(most(xs) - least(xs), most(ys) - least(ys)) || 1;
    const side = 90 * Math.sqrt(placed.length) + 60;
    for (const p of placed) {
        p.fx = ((p.position.x - least(xs)) / size) * side;
        p.fy = ((most(ys) - p.position.y) / size) * side;
    }
    spread(placed);
}

function wordsOf({ cable }) {
    const words = bothSettings(cable);
    return words.length > LONGEST ? `${words.slice(0, LONGEST - 1)}\u2026` : words;
}

// Wide rather than high, as there is more room at the sides.
function relax(points, edges, apart) {
    forceSimulation(points)
        .force(
            "link",
            forceLink(edges)
                .distance((edge) => apart + (apart > CLOSE ? wordsOf(edge).length * 4 : 0))
                .strength(0.7),
        )
        .force(
            "charge",
            forceManyBody()
                .strength(-apart * 6)
                .distanceMax(apart * 8),
        )
        .force("collide", forceCollide(reach))
        .force("x", forceX().strength(0.03))
        .force("y", forceY().strength(0.07))
        .stop()
        .tick(points.length > MANY ? TICKS_MANY : TICKS);
}

const side = (a, b, c) => (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);

function cross({ source: a, target: b }, { source: c, target: d }) {
    if (a === c || a === d || b === c || b === d) return false;
    return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}

// How near a point is to the inside of an edge.
function distance({ source: a, target: b }, { x, y }) {
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const along = ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy || 1);
    const at = Math.min(1, Math.max(0, along));
    return Math.hypot(x - a.x - at * dx, y - a.y - at * dy);
}

// Edges that cross, and nodes that others' edges pass through.
function tangle(points, edges) {
    let n = 0;
    edges.forEach((edge, i) => {
        for (let j = 0; j < i; j++) n += cross(edge, edges[j]);
        for (const point of points)
            n += point !== edge.source && point !== edge.target && distance(edge, point) < 30;
    });
    return n;
}

// Beginnings of a layout: each on a circle, in an order of its own.
function scatter(points, turn) {
    points.forEach((point, i) => {
        const angle = (2 * Math.PI * ((i * (2 * turn + 1)) % points.length)) / points.length;
        point.x = Math.cos(angle) * 60 * Math.sqrt(points.length) + i;
        point.y = Math.sin(angle) * 60 * Math.sqrt(points.length);
        point.vx = point.vy = 0;
    });
}

// Forces find the nearest rest, not the best: of several, the least tangled.
function layOut({ points, edges }, apart) {
    place(points);
    let best = Infinity,
        kept = null;
    for (let turn = 0; turn < (points.length > FEW ? 1 : ATTEMPTS) && best > 0; turn++) {
        if (points.length <= FEW) scatter(points, turn);
        relax(points, edges, apart);
        const found = points.length > FEW ? 0 : tangle(points, edges);
        if (found < best) [best, kept] = [found, points.map(({ x, y }) => ({ x, y }))];
    }
    points.forEach((point, i) => Object.assign(point, kept[i]));
}

// Each kind has its own shape: not by colour alone.
function shape(kind) {
    switch (kind) {
        case "switch":
        case "hub":
            return drawing("rect", { x: -15, y: -8, width: 30, height: 16, rx: 3 });
        case "radio":
            return drawing("path", { d: "M0,-14 L13,9 L-13,9 Z" });
        case "host":
            return drawing("rect", { x: -11, y: -11, width: 22, height: 22, rx: 3 });
        case "responder":
            return drawing("path", { d: "M0,-13 L13,0 L0,13 L-13,0 Z" });
        case "simulated":
            return drawing("path", { d: "M-13,0 L-6.5,-11 L6.5,-11 L13,0 L6.5,11 L-6.5,11 Z" });
        case "medium":
            return drawing("rect", { x: -18, y: -6, width: 36, height: 12, rx: 6 });
        case OUTSIDE:
            return drawing("ellipse", { rx: 16, ry: 10 });
        default:
            return drawing("circle", { r: 12 });
    }
}

const KINDS = {
    vm: "virtual machine",
    host: "host",
    responder: "responder",
    switch: "switch",
    hub: "hub",
    radio: "radio",
    simulated: "simulated by ns-3",
    medium: "medium of ns-3",
    [OUTSIDE]: "outside network",
};

const activate = (fn) => ({
    click: (e) => fn(e.currentTarget),
    keydown: (e) => {
        if (e.key !== "Enter" && e.key !== " ") return;
        e.preventDefault();
        fn(e.currentTarget);
    },
});

function drawEdge(edge, labelled, show) {
    const { source: a, target: b, cable, bow } = edge;
    const mx = (a.x + b.x) / 2,
        my = (a.y + b.y) / 2,
        length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
    const off = bow === 0 ? 0 : (bow % 2 ? 1 : -1) * Math.ceil(bow / 2) * 36;
    const cx = mx + (-(b.y - a.y) / length) * off,
        cy = my + ((b.x - a.x) / length) * off;
    const d = `M${a.x},${a.y} Q${cx},${cy} ${b.x},${b.y}`;
    const words = bothSettings(cable);
    const state = cable.removed ? "removed" : cable.up === false ? "down" : "up";
    const group = drawing(
        "g",
        {
            class: `cable ${state}`,
            tabindex: "0",
            role: "button",
            "aria-label": `link ${cable.name}: ${words}, ${state}`,
            ...activate((from) => show(from)),
        },
        drawing("title", {}, `${cable.name}: ${words}`),
        drawing("path", { class: "target", d }),
        drawing("path", { class: "wire", d }),
    );
    const x = (mx + cx) / 2,
        y = (my + cy) / 2;
    if (labelled && words !== "perfect cable")
        group.append(drawing("text", { x, y: y - 5, class: "setting" }, wordsOf(edge)));
    return group;
}

function drawPoint(point, labelled, show) {
    const kind = KINDS[point.kind] ?? point.kind;
    const name = point.kind === OUTSIDE ? OUTSIDE : point.name;
    const group = drawing(
        "g",
        {
            class: `node ${Object.hasOwn(KINDS, point.kind) ? point.kind : ""}`,
            transform: `translate(${point.x},${point.y})`,
            tabindex: "0",
            role: "button",
            "aria-label": `${kind} ${name}`,
            ...activate((from) => show(from)),
        },
        drawing("title", {}, `${kind} ${name}`),
        shape(point.kind),
    );
    if (labelled) group.append(drawing("text", { y: 27 }, shorten(name, LONGEST_NAME)));
    return group;
}

function legend(points) {
    const kinds = [...new Set(points.map((point) => point.kind))];
    return element(
        "ul",
        { class: "legend" },
        kinds.map((kind) => {
            const icon = drawing(
                "svg",
                { viewBox: "-18 -16 36 32", width: 22, height: 20, "aria-hidden": "true" },
                drawing("g", { class: `node ${Object.hasOwn(KINDS, kind) ? kind : ""}` }, shape(kind)),
            );
            return element("li", {}, icon, KINDS[kind] ?? kind);
        }),
    );
}

/** Draws the run's topology; `show(what, from)` is told of a node or link that is activated. */
export function drawTopology(container, run, show) {
    const graph = makeGraph(run);
    const { points, edges } = graph;
    if (points.length === 0) return false;
    const labelled = edges.length <= LABELLED_LINKS;
    layOut(graph, labelled ? ROOMY : CLOSE);
    const extent = (key, pad) => {
        const all = points.map((point) => point[key]);
        const low = all.reduce((a, b) => Math.min(a, b), Infinity) - pad,
            high = all.reduce((a, b) => Math.max(a, b), -Infinity) + pad;
        return [low, high - low];
    };
    const [x, width] = extent("x", 70),
        [y, height] = extent("y", 34);
    const svg = drawing("svg", {
        class: "graph",
        viewBox: `${x} ${y} ${width} ${height + 12}`,
        role: "group",
        "aria-label": `topology: ${points.length} nodes, ${edges.length} links`,
        style: null,
    });
    svg.style.maxHeight = `${Math.min(560, Math.max(150, height * 1.15))}px`;
    svg.style.setProperty("--legible", `${Math.min(900, Math.round(width * 0.6))}px`);
    svg.style.maxWidth = `${Math.max(320, width * 1.3)}px`;
    svg.append(...edges.map((edge) => drawEdge(edge, labelled, (from) => show({ cable: edge.cable }, from))));
    svg.append(
        ...points.map((point) =>
            drawPoint(point, points.length <= LABELLED_NODES, (from) => show({ node: point }, from)),
        ),
    );
    container.append(svg, legend(points));
    return true;
}
