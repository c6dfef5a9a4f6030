/* pages/usage.js - tokens by conversation and by model, and what the last hours looked like. */
import {ago, count, h, span} from "../lib/dom.js";
import {chart} from "../lib/chart.js";
import {titleOf} from "../chat/sessions.js";
import {head, none, reading, tableOf} from "./kit.js";

const total = (s) => (s.inputTokens || 0) + (s.outputTokens || 0);

async function load(gw) {
    const [list, turns] = await Promise.all([gw.ask("sessions.list", {limit: 1000, includeDerivedTitles: true, includeGlobal: true, archived: "all"}),
        gw.has("stats.turns") ? gw.ask("stats.turns", {minutes: 180}).catch(() => null) : null]);
    return {sessions: list.sessions, turns};
}

function bars(rows) {
    const top = Math.max(1, ...rows.map((r) => r.tokens));
    return h("ul", {class: "hbars"}, rows.map((r) => h("li", {}, h("span", {class: "mono"}, r.name), h("span", {class: "hbar", "aria-hidden": "true"}, h("i", {css: {width: `${(r.tokens / top) * 100}%`}})), h("span", {class: "num"}, count(r.tokens)))));
}

function draw(d) {
    const by = new Map();
    for (const s of d.sessions) by.set(s.model ? `${s.modelProvider}/${s.model}` : "none", (by.get(s.model ? `${s.modelProvider}/${s.model}` : "none") || 0) + total(s));
    const models = [...by].map(([name, tokens]) => ({name, tokens})).filter((m) => m.tokens).sort((a, b) => b.tokens - a.tokens);
    const top = d.sessions.filter(total).sort((a, b) => total(b) - total(a)).slice(0, 25);
    const read = d.sessions.reduce((s, x) => s + (x.inputTokens || 0), 0), written = d.sessions.reduce((s, x) => s + (x.outputTokens || 0), 0);
    return [head("Usage", "Tokens the models read and wrote, as they counted them."),
        h("div", {class: "figures"}, [["Read", read], ["Written", written], ["Conversations", d.sessions.length]].map(([k, v]) => h("div", {class: "card"}, h("b", {class: "num"}, count(v)), h("span", {class: "soft"}, k)))),
        d.turns && h("div", {class: "charts"}, chart({title: "Tokens, last three hours", points: fold(d.turns.buckets), kinds: [{name: "written", color: "brand"}, {name: "read", color: "soft"}], say: count}),
            chart({title: "Time to the answer", points: d.turns.buckets.map((b) => ({at: b.at, values: [b.ok ? b.msSum / b.ok : null]})), kinds: [{name: "mean", color: "brand", line: true}], say: span})),
        models.length ? h("section", {class: "card"}, h("h2", {}, "By model"), bars(models)) : null,
        top.length ? h("section", {}, h("h2", {}, "By conversation"), tableOf(top, [["Conversation", (s) => h("a", {class: "cell-title", href: `#/chat/${encodeURIComponent(s.key)}`}, titleOf(s))],
            ["Read", (s) => h("span", {class: "num"}, count(s.inputTokens || 0)), "right"], ["Written", (s) => h("span", {class: "num"}, count(s.outputTokens || 0)), "right"], ["Last", (s) => (s.updatedAt ? ago(s.updatedAt) : "never")]], "Tokens by conversation")) :
            none("Nothing used yet", "Numbers come with the first answer.")];
}

/* Three minutes in one bar: sixty bars fit. */
function fold(buckets) {
    const out = [];
    for (let i = 0; i < buckets.length; i += 3) {
        const g = buckets.slice(i, i + 3);
        out.push({at: g[0].at, values: [g.reduce((s, b) => s + b.tokensOut, 0), g.reduce((s, b) => s + b.tokensIn, 0)]});
    }
    return out;
}

export default (gw) => reading(gw, {load: () => load(gw), draw, every: 15000});
