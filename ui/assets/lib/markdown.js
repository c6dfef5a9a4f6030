/*
 * lib/markdown.js - Markdown of models and people, made into nodes. What it reads is hostile.
 * Holds: no markup of the text reaches the parser of the browser; nothing is fetched (images become links that say
 * where they lead); links open only by a click and only with http, https or mailto; work grows with the length of
 * the text, not with its tricks: nesting is bounded and a search for a closing mark that failed is not repeated.
 */
import {copyText, h, icon} from "./dom.js";
import {highlight} from "./highlight.js";

const DEPTH_MAX = 6;        /* lists in quotes in lists */
const INLINE_MAX = 20000;   /* characters of one paragraph that are looked at for marks */
const SAFE = /^(https?:\/\/|mailto:)/i;

/* ---- blocks ---- */

const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const ITEM = /^( {0,8})([-*+]|\d{1,9}[.)])( +|$)(.*)$/;
const RULE = /^ {0,3}([-*_])( *\1){2,} *$/;
const HEAD = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$/;
const QUOTE = /^ {0,3}> ?(.*)$/;

/* The text cut into top-level blocks: [{kind, lines, ...}]. */
function blocks(text) {
    const lines = text.replaceAll("\r\n", "\n").split("\n"), out = [];
    let i = 0;
    while (i < lines.length) {
        const line = lines[i];
        let m;
        if (!line.trim()) {
            i++;
        } else if ((m = FENCE.exec(line))) {
            const from = ++i, close = new RegExp(`^ {0,3}\\${m[2][0]}{${m[2].length},}\\s*$`);
            while (i < lines.length && !close.test(lines[i])) i++;
            out.push({kind: "code", lang: m[3].toLowerCase(), lines: lines.slice(from, i), open: i >= lines.length, indent: m[1].length});
            i++;
        } else if ((m = HEAD.exec(line))) {
            out.push({kind: "head", level: m[1].length, lines: [m[2]]});
            i++;
        } else if (RULE.test(line)) {
            out.push({kind: "rule", lines: [line]});
            i++;
        } else if (QUOTE.test(line)) {
            const from = i;
            while (i < lines.length && lines[i].trim() && (QUOTE.test(lines[i]) || i > from)) i++;
            out.push({kind: "quote", lines: lines.slice(from, i).map((l) => (QUOTE.exec(l) || ["", l])[1])});
        } else if ((m = ITEM.exec(line))) {
            const from = i, indent = m[1].length, ordered = /\d/.test(m[2]);
            i++;
            while (i < lines.length) {
                const n = ITEM.exec(lines[i]);
                if (n && n[1].length <= indent && /\d/.test(n[2]) !== ordered) break;
                if (!lines[i].trim()) {
                    const next = lines[i + 1] || "";
                    if (!next.trim() || !(/^ {2,}/.test(next) || ITEM.test(next))) break;
                } else if (!n && !/^ {2,}/.test(lines[i]) && !lines[i - 1].trim()) break;
                else if (!n && (FENCE.test(lines[i]) && !/^ {2,}/.test(lines[i]) || HEAD.test(lines[i]) || RULE.test(lines[i]))) break;
                i++;
            }
            out.push({kind: "list", ordered, start: parseInt(m[2], 10), lines: lines.slice(from, i)});
        } else if (line.includes("|") && /^[ |:-]+$/.test(lines[i + 1] || "") && (lines[i + 1] || "").includes("-") && lines[i + 1].includes("|")) {
            const from = i;
            i += 2;
            while (i < lines.length && lines[i].includes("|") && lines[i].trim()) i++;
            out.push({kind: "table", lines: lines.slice(from, i)});
        } else {
            const from = i++;
            while (i < lines.length && lines[i].trim() && !FENCE.test(lines[i]) && !HEAD.test(lines[i]) && !RULE.test(lines[i]) &&
                   !QUOTE.test(lines[i]) && !(ITEM.test(lines[i]) && ITEM.exec(lines[i])[4])) i++;
            out.push({kind: "text", lines: lines.slice(from, i)});
        }
    }
    return out;
}

function cells(line) {
    return line.trim().replace(/^\|/, "").replace(/\|$/, "").split(/(?<!\\)\|/).map((c) => c.trim().replaceAll("\\|", "|"));
}

function table(lines) {
    const align = cells(lines[1]).map((c) => (c.endsWith(":") ? (c.startsWith(":") ? "center" : "right") : ""));
    const row = (line, tag) => h("tr", {}, cells(line).slice(0, 64).map((c, i) => h(tag, {class: align[i] || ""}, inline(c))));
    return h("div", {class: "table-box", tabIndex: 0, role: "region", ariaLabel: "Table"},
             h("table", {}, h("thead", {}, row(lines[0], "th")), h("tbody", {}, lines.slice(2).map((l) => row(l, "td")))));
}

function list(b, depth) {
    const items = [];
    const base = ITEM.exec(b.lines[0])[1].length;
    for (const line of b.lines) {
        const m = ITEM.exec(line);
        if (m && m[1].length <= base + 1) items.push({cut: m[1].length + m[2].length + 1, lines: [m[4]]});
        else items.at(-1).lines.push(line.slice(Math.min(items.at(-1).cut, line.search(/\S|$/))));
    }
    return h(b.ordered ? "ol" : "ul", b.ordered && b.start !== 1 ? {start: b.start} : {}, items.map((it) => {
        const task = /^\[([ xX])\] +(.*)$/.exec(it.lines[0]);
        if (task) it.lines[0] = task[2];
        const kids = nodes(it.lines.join("\n"), depth + 1);
        const body = kids.length && kids[0].tagName === "P" ? [...kids[0].childNodes, ...kids.slice(1)] : kids;
        return h("li", {class: task ? "task" : ""}, task && h("span", {class: "box", ariaLabel: task[1] === " " ? "not done" : "done", role: "img"},
                                                               task[1] === " " ? "" : icon("check", 12)), body);
    }));
}

function code(b) {
    const text = b.lines.map((l) => l.slice(Math.min(b.indent, l.search(/\S|$/)))).join("\n");
    const copy = h("button", {type: "button", class: "icon-button small", ariaLabel: "Copy this code", title: "Copy",
                              onclick: () => copyText(text, copy)}, icon("copy", 16));
    return h("figure", {class: "code"}, h("figcaption", {}, h("span", {}, b.lang || "text"), copy),
             h("pre", {tabIndex: 0, role: "region", ariaLabel: `Code${b.lang ? ", " + b.lang : ""}`}, h("code", {}, highlight(text, b.lang))));
}

function node(b, depth) {
    switch (b.kind) {
    case "code": return code(b);
    case "head": return h(`h${Math.min(6, b.level + 2)}`, {}, inline(b.lines[0]));
    case "rule": return h("hr", {});
    case "quote": return h("blockquote", {}, depth < DEPTH_MAX ? nodes(b.lines.join("\n"), depth + 1) : b.lines.join("\n"));
    case "list": return depth < DEPTH_MAX ? list(b, depth) : h("p", {}, b.lines.join("\n"));
    case "table": return table(b.lines);
    default: return h("p", {}, inline(b.lines.map((l) => l.trimStart()).join("\n")));
    }
}

function nodes(text, depth) {
    return blocks(text).map((b) => node(b, depth));
}

/* ---- inside a block ---- */

const MARKS = [["***", "strong", "em"], ["**", "strong"], ["__", "strong"], ["~~", "s"], ["*", "em"], ["_", "em"]];
const URL_AT = /https?:\/\/[^\s<>"'`{}|\\^]{1,2000}/iy;
const wordy = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);

function link(href, kids) {
    if (!SAFE.test(href)) return h("span", {}, kids);
    return h("a", {href, target: "_blank", rel: "noopener noreferrer nofollow", title: href.slice(0, 300)}, kids);
}

function host(url) {
    try {
        return new URL(url).host || "elsewhere";
    } catch {
        return "elsewhere";
    }
}

/* "[label](target)" at i, or null. */
function bracket(s, i, dead) {
    if (dead.has("]")) return null;
    let depth = 0, j = i;
    const stop = Math.min(s.length, i + 2000);
    for (; j < stop; j++) {
        if (s[j] === "\\") j++;
        else if (s[j] === "[") depth++;
        else if (s[j] === "]" && --depth === 0) break;
    }
    if (j >= s.length) dead.add("]");
    if (s[j] !== "]" || s[j + 1] !== "(") return null;
    const end = s.indexOf(")", j + 2);
    if (end < 0 || end > j + 2100) return null;
    let stopAt = end;
    const open = s.slice(j + 2, end).split("(").length - 1;
    for (let n = open; n > 0; n--) {
        const next = s.indexOf(")", stopAt + 1);
        if (next < 0 || next > end + 64) break;
        stopAt = next;
    }
    const target = s.slice(j + 2, stopAt).trim().replace(/\s+["'(].*$/s, "").replace(/^<(.*)>$/, "$1");
    return {label: s.slice(i + 1, j), target, end: stopAt + 1};
}

function inline(s, depth = 0, linked = false) {
    if (s.length > INLINE_MAX || depth > DEPTH_MAX) return [s];
    const out = [], dead = new Set();
    let text = "";
    const flush = () => {
        if (text) out.push(text);
        text = "";
    };
    const emit = (el, to) => {
        flush();
        out.push(el);
        return to;
    };
    for (let i = 0; i < s.length;) {
        const c = s[i];
        let m, to = 0;
        if (c === "\\" && i + 1 < s.length && /[!-/:-@[-`{-~]/.test(s[i + 1])) {
            text += s[i + 1];
            i += 2;
            continue;
        }
        if (c === "\n") {
            to = emit(h("br", {}), i + 1);
        } else if (c === "`") {
            const run = /^`+/.exec(s.slice(i, i + 16))[0];
            const end = dead.has(run) ? -1 : s.indexOf(run, i + run.length);
            if (end > 0) to = emit(h("code", {}, s.slice(i + run.length, end).replace(/^ (.*[^ ].*) $/s, "$1")), end + run.length);
            else {
                dead.add(run);
                text += run;
                to = i + run.length;
            }
        } else if (c === "!" && s[i + 1] === "[" && (m = bracket(s, i + 1, dead))) {
            const el = SAFE.test(m.target) && !linked ? h("a", {class: "outside", href: m.target, target: "_blank", rel: "noopener noreferrer nofollow"},
                icon("image", 16), ` ${m.label || "Image"} `, h("small", {}, `opens ${host(m.target)}`)) : h("span", {}, m.label);
            to = emit(el, m.end);
        } else if (c === "[" && !linked && (m = bracket(s, i, dead))) {
            to = emit(link(m.target, inline(m.label, depth + 1, true)), m.end);
        } else if (c === "<" && !linked && (m = /^<(https?:\/\/[^\s<>]{1,2000}|mailto:[^\s<>]{1,300})>/i.exec(s.slice(i, i + 2100)))) {
            to = emit(link(m[1], [m[1]]), i + m[0].length);
        } else if (c === "h" && !linked && !wordy(s[i - 1]) && (URL_AT.lastIndex = i, m = URL_AT.exec(s))) {
            let url = m[0].replace(/[.,;:!?*_~]+$/, "");
            if (url.endsWith(")") && !url.includes("(")) url = url.replace(/\)+[.,;:!?]*$/, "");
            to = emit(link(url, [url]), i + url.length);
        } else if (c === "*" || c === "_" || c === "~") {
            for (const [mark, tag, tag2] of MARKS) {
                if (!s.startsWith(mark, i) || dead.has(mark)) continue;
                const after = s[i + mark.length];
                if (after === undefined || /\s/.test(after) || (c === "_" && wordy(s[i - 1]))) continue;
                let end = i + mark.length;
                for (;;) {
                    end = s.indexOf(mark, end + 1);
                    if (end < 0) break;
                    if (s[end - 1] === "\\" || /\s/.test(s[end - 1]) || (c === "_" && wordy(s[end + mark.length])) ||
                        (mark.length === 1 && (s[end + 1] === c || s[end - 1] === c))) continue;
                    break;
                }
                if (end < 0) {
                    dead.add(mark);
                    continue;
                }
                const kids = inline(s.slice(i + mark.length, end), depth + 1, linked);
                to = emit(h(tag, {}, tag2 ? h(tag2, {}, kids) : kids), end + mark.length);
                break;
            }
        }
        if (to) i = to;
        else {
            text += c;
            i++;
        }
    }
    flush();
    return out;
}

/* ---- the two ways in ---- */

/* Shows text in el. While a text grows only the blocks that changed are made anew. */
export function render(el, text) {
    const want = blocks(text.length > 500000 ? text.slice(0, 500000) : text);
    want.forEach((b, i) => {
        const key = `${b.kind}\u0000${b.lang || ""}\u0000${b.level || ""}\u0000${b.lines.join("\n")}`, have = el.children[i];
        if (have && have.source === key) return;
        const made = node(b, 0);
        made.source = key;
        if (have) have.replaceWith(made);
        else el.append(made);
    });
    while (el.childElementCount > want.length) el.lastElementChild.remove();
}
