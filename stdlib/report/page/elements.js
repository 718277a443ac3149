// SPDX-License-Identifier: MIT
// Elements of the page. What a run recorded becomes text, never markup.

// Control characters and those that turn the direction of a text would hide what it says.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const picture = (c) => {
    const code = c.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
};

/** A text with what cannot be seen in it made visible; the end of a DOS line is a line's end. */
export const visible = (text) => String(text).replace(/\r\n/g, "\n").replace(HIDDEN, picture);

/** An element with attributes, listeners (functions), and children: elements, texts, or null. */
export function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) continue;
        if (typeof value === "function") made.addEventListener(name, value);
        else made.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(2)) {
        if (child === null || child === undefined) continue;
        made.append(child instanceof Node ? child : visible(child));
    }
    return made;
}

const LONG = 300; // characters that a cell takes as they are; more scroll

/** A text of any length for a cell of a table. */
export const fitted = (text) => (text.length > LONG ? element("pre", { tabindex: "0" }, text) : text);

const SVG = "http://www.w3.org/2000/svg";

/** As element(), of a drawing. */
export function drawing(tag, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined) continue;
        if (typeof value === "function") made.addEventListener(name, value);
        else made.setAttribute(name, value);
    }
    for (const child of children.flat()) made.append(child instanceof Node ? child : visible(child));
    return made;
}

/** A list of terms and what they are: [[term, text or element], ...]; pairs without a value are left out. */
export function terms(pairs) {
    const given = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
    return element(
        "dl",
        {},
        given.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value))),
    );
}

// A relative address, part by part, so that a name cannot be more than a name.
const address = (path) => `./${path.split("/").map(encodeURIComponent).join("/")}`;

/** A link to a file whose path is relative to the page's. */
export const fileLink = (path, text) => element("a", { href: address(String(path)) }, text);

/** A colour of the page's style, by its name. */
export const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
