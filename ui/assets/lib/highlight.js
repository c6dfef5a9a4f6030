/*
 * lib/highlight.js - colours for code: comments, strings, numbers, words of the language. A few families of languages,
 * one expression each; it never fails, at worst it colours nothing.
 */
import {h} from "./dom.js";

const LENGTH_MAX = 60000; /* longer code is shown plain */

const STRINGS = String.raw`"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?`;
const NUMBER = String.raw`\b(?:0[xX][\da-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\b`;
const WORDS = {
    c: "async await auto bool boolean break case catch char class const constexpr continue default defer delete do double else enum export extends extern false final finally float fn for from func function go goto if impl implements import in inline instanceof int interface let long loop match mod module mut namespace new nil null nullptr of override package private protected pub public register return self short signed sizeof static struct super switch template this throw trait true try type typedef typeof undefined union unsigned use using var virtual void volatile where while yield",
    py: "False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return self try while with yield begin do end ensure module nil require rescue then unless until",
    sh: "case do done elif else esac exit export fi for function if in local return set then until while sudo cd echo true false",
    sql: "add all alter and as asc begin between by case column commit constraint create cross default delete desc distinct drop else end exists foreign from full group having if in index inner insert into is join key left like limit not null on or order outer primary references returning right rollback select set table then union unique update using values view when where with function local nil return while repeat until",
};
const FAMILY = {
    c: {comment: String.raw`\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)`, string: STRINGS + "|`(?:\\\\.|[^`\\\\])*`?", words: WORDS.c},
    py: {comment: "#[^\\n]*", string: String.raw`"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|` + STRINGS, words: WORDS.py},
    sh: {comment: String.raw`(?<![\w$\\])#[^\n]*`, string: STRINGS, words: WORDS.sh, extra: String.raw`\$\{?\w+\}?|(?<=\s)--?[a-zA-Z][\w-]*`},
    sql: {comment: String.raw`--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)`, string: STRINGS, words: WORDS.sql, flags: "i"},
    json: {comment: String.raw`\/\/[^\n]*`, string: STRINGS, words: "true false null", key: String.raw`"(?:\\.|[^"\\\n])*"(?=\s*:)|\b[A-Za-z_$][\w$]*(?=\s*:)`},
    yaml: {comment: "#[^\\n]*|^;[^\\n]*", string: STRINGS, words: "true false null yes no on off", key: String.raw`^[ \t-]*[\w."'-]+(?=\s*[:=])|^\[[^\]\n]*\]`},
    html: {comment: "<!--[\\s\\S]*?(?:-->|$)", string: STRINGS, words: "", key: String.raw`<\/?[\w:-]+|\/?>|\b[\w:-]+(?==)`},
    css: {comment: String.raw`\/\*[\s\S]*?(?:\*\/|$)`, string: STRINGS, words: "important", key: String.raw`[\w-]+(?=\s*:[^:])|@[\w-]+`},
};
const NAMES = {
    c: "c h cc cpp c++ cs csharp java js javascript jsx mjs ts typescript tsx go rust rs kotlin kt swift php scala dart zig proto",
    py: "py python rb ruby nim r julia elixir", sh: "sh bash shell zsh console fish dockerfile makefile make", sql: "sql lua haskell hs",
    json: "json json5 jsonc jsonl", yaml: "yaml yml toml ini conf properties", html: "html xml svg vue", css: "css scss less",
};
const byName = Object.fromEntries(Object.entries(NAMES).flatMap(([f, names]) => names.split(" ").map((n) => [n, f])));
const made = {};

function rule(family) {
    if (!made[family]) {
        const f = FAMILY[family], words = f.words.split(" ").filter(Boolean).join("|");
        const parts = [`(?<comment>${f.comment})`];
        if (f.key) parts.push(`(?<key>${f.key})`);
        parts.push(`(?<string>${f.string})`, `(?<number>${NUMBER})`);
        if (f.extra) parts.push(`(?<extra>${f.extra})`);
        if (words) parts.push(`\\b(?<word>${words})\\b`);
        parts.push(String.raw`\b(?<call>[A-Za-z_$][\w$]*)(?=\()`);
        made[family] = new RegExp(parts.join("|"), "gm" + (f.flags || ""));
    }
    return made[family];
}

function diff(text) {
    return text.split("\n").flatMap((line, i, all) => {
        const kind = /^(\+\+\+|---|@@|diff |index )/.test(line) ? "comment" : line[0] === "+" ? "plus" : line[0] === "-" ? "minus" : "";
        const end = i < all.length - 1 ? "\n" : "";
        return kind ? [h("span", {class: `t-${kind}`}, line), end] : [line + end];
    });
}

/* Nodes for text in a language ("" or unknown: plain). */
export function highlight(text, lang) {
    if (text.length > LENGTH_MAX) return [text];
    if (lang === "diff" || lang === "patch") return diff(text);
    const family = byName[lang];
    if (!family) return [text];
    const out = [];
    let at = 0;
    for (const m of text.matchAll(rule(family))) {
        if (!m[0]) continue;
        const kind = Object.keys(m.groups).find((k) => m.groups[k] !== undefined);
        if (m.index > at) out.push(text.slice(at, m.index));
        out.push(h("span", {class: `t-${kind}`}, m[0]));
        at = m.index + m[0].length;
    }
    if (at < text.length) out.push(text.slice(at));
    return out;
}
