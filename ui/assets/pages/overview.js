/*
 * pages/overview.js - how the gateway is, in plain words first: what needs somebody, then the processes as they are,
 * turns over time, what waits, and the last errors.
 */
import {bytes, clock, count, h, icon, plural, span, svg} from "../lib/dom.js";
import {chart} from "../lib/chart.js";
import {head, reading} from "./kit.js";

const ROLES = {
    front: ["Front", "Speaks with browsers and clients. Holds no secret."],
    hub: ["Hub", "Decides and remembers. Has no network."],
    agent: ["Agent", "Asks the models. Sees no files."],
    channel: ["Channel", "Speaks with one chat platform."],
    tool: ["Tools", "Runs tools in a box of their own."],
    cron: ["Timer", "Remembers when something is due."],
};
const LAYERS = {
    uid: "a user of its own", groups: "no groups", capabilities: "no capabilities", "no-new-privs": "can gain no rights", seccomp: "only the system calls it needs",
    landlock: "no files but its own", "landlock-net": "no ports but its own", "ns-mnt": "its own file tree", "ns-net": "no network", "ns-ipc": "its own IPC",
    "ns-uts": "its own host name", "ns-pid": "sees no other process", "ns-user": "its own user space", "empty-root": "an empty root folder", "no-core": "leaves no core files",
    "no-dump": "cannot be looked into", "write-xor-execute": "runs no memory it can write", rlimits: "bounded resources",
};
const LANES = {main: "Conversations", cron: "Scheduled", subagent: "Sub-agents", nested: "Nested"};
const layer = (name) => LAYERS[name] || name;
const roleOf = (p) => p.role.replace("openclaw-", "");

function parse(line) {
    try {
        return JSON.parse(line);
    } catch {
        return {event: "text", text: line, level: "info"};
    }
}

async function load(gw) {
    const quiet = (m, p) => (gw.has(m) ? gw.ask(m, p || {}).catch(() => null) : Promise.resolve(null));
    const [status, info, presence, logs, turns, dead, channels] = await Promise.all([
        gw.ask("status"), quiet("system.info"), quiet("system-presence"), quiet("logs.tail", {limit: 2000, maxBytes: 900000}), quiet("stats.turns"),
        gw.may("admin") ? gw.ask("deliveries.list", {state: "dead", limit: 100}).catch(() => null) : null, quiet("channels.status", {probe: false})]);
    const lines = (logs?.lines || []).map(parse);
    return {status, info, presence, turns, dead, channels, fleet: status.fleet, errors: lines.filter((l) => l.level === "error" || l.level === "warn").slice(-8).reverse()};
}

/* ---- what needs somebody ---- */

function findings(gw, d) {
    const out = [];
    for (const p of d.fleet?.processes || []) {
        const name = nameOf(p);
        if (p.state !== "up") out.push(["err", `${name} is ${p.state === "backoff" ? "down and will be started again" : p.state}.`, "#/logs", "Logs"]);
        else if (p.restarts > 2) out.push(["warn", `${name} had to be started again ${p.restarts} times.`, "#/logs", "Logs"]);
        if (p.sandbox?.missing?.length) out.push(["warn", `The sandbox of ${name} is not complete. Missing: ${p.sandbox.missing.map(layer).join(", ")}.`]);
    }
    for (const l of d.fleet?.lanes || []) if (l.waiting > 4) out.push(["warn", `${plural(l.waiting, "turn")} wait in the lane “${LANES[l.lane] || l.lane}”.`]);
    const dead = d.dead?.deliveries?.length || 0;
    if (dead) out.push(["err", `${plural(dead, "message")} could not be delivered and ${dead === 1 ? "was" : "were"} set aside.`, "#/deliveries", "Look"]);
    for (const [id, accounts] of Object.entries(d.channels?.channelAccounts || {}))
        for (const a of accounts) if (a.enabled !== false && a.lastError && !a.connected) out.push(["err", `${d.channels.channelLabels?.[id] || id}${a.accountId && a.accountId !== "default" ? ` (${a.accountId})` : ""}: ${a.lastError}`, "#/channels", "Channels"]);
    if (gw.hello.snapshot?.sessionDefaults?.modelConfigured === false) out.push(["warn", "No model is set up; the built-in demo answers.", "#/start", "Set one up"]);
    return out;
}

function verdict(gw, d) {
    const list = findings(gw, d), worst = list.some((f) => f[0] === "err") ? "err" : list.length ? "warn" : "ok";
    const procs = d.fleet?.processes || [], up = procs.filter((p) => p.state === "up").length, clients = Math.max(0, (d.presence?.length || 1) - 1);
    const words = {ok: "All is well", warn: "Running, with something to look at", err: "Something needs you"}[worst];
    const memory = procs.reduce((s, p) => s + (p.memoryKib || 0), 0);
    return h("section", {class: `verdict ${worst}`, ariaLabel: "State of the gateway"}, h("div", {class: "orb"}, icon(worst === "ok" ? "check" : "warn", 28)),
        h("div", {}, h("h2", {}, words), h("p", {class: "soft"}, [
            d.info?.uptimeMs && `Up for ${span(d.info.uptimeMs)}`, up && `${plural(up, "process", "processes")}${memory ? ` in ${bytes(memory * 1024)}` : ""}`,
            plural(d.status.sessions?.count || 0, "conversation"), plural(clients, "client") + " connected",
            d.status.sessions?.defaults?.model && `answers come from ${d.status.sessions.defaults.model}`].filter(Boolean).join(" · ")),
        list.length ? h("ul", {class: "findings"}, list.slice(0, 8).map(([kind, text, href, label]) =>
            h("li", {class: kind}, h("span", {class: `dot ${kind}`}), h("span", {}, text), href && h("a", {href}, label)))) : null));
}

/* ---- at a glance ---- */

const RECENT = 5; /* minutes that count as now */

function glance(d) {
    const t = d.turns, lanes = d.fleet?.lanes || [];
    if (!t) return null;
    const all = t.buckets, now = all.slice(-RECENT), sum = (list, f) => list.reduce((s, b) => s + f(b), 0);
    const perMin = sum(now, (b) => b.ok + b.failed) / Math.max(1, now.length), ok = sum(all, (b) => b.ok);
    const tile = (value, words) => h("li", {}, h("b", {class: "num"}, value), h("span", {}, words));
    return h("ul", {class: "tiles", ariaLabel: "At a glance"},
        tile(perMin ? (perMin < 10 ? perMin.toFixed(1) : Math.round(perMin)) : "0", `turns a minute, last ${RECENT} minutes`),
        tile(ok ? span(sum(all, (b) => b.msSum) / ok) : "–", `mean time to the answer, last ${t.bucketMs * all.length === 36e5 ? "hour" : span(t.bucketMs * all.length)}`),
        tile(count(sum(all, (b) => b.tokensIn + b.tokensOut)), "tokens read and written"),
        tile(sum(lanes, (l) => l.running), lanes.some((l) => l.waiting) ? `turns under way, ${sum(lanes, (l) => l.waiting)} waiting` : "turns under way, none waiting"));
}

/* ---- processes ---- */

/* Memory of each process since this page looks, by its pid. */
const trails = new Map(), TRAIL = 60;

function follow(procs) {
    const alive = new Set(procs.map((p) => p.pid));
    for (const pid of trails.keys()) if (!alive.has(pid)) trails.delete(pid);
    for (const p of procs) if (p.memoryKib) trails.set(p.pid, [...(trails.get(p.pid) || []), p.memoryKib].slice(-TRAIL));
}

function trail(p) {
    const t = trails.get(p.pid) || [];
    if (t.length < 3) return null;
    const low = Math.min(...t), range = Math.max(64, Math.max(...t) - low);
    const line = t.map((v, i) => `${((i + TRAIL - t.length) * 100 / (TRAIL - 1)).toFixed(1)},${(15 - (v - low) * 13 / range).toFixed(1)}`).join(" ");
    return svg("svg", {viewBox: "0 0 100 16", preserveAspectRatio: "none", class: "trail", "aria-hidden": "true"}, svg("polyline", {points: line, "vector-effect": "non-scaling-stroke"}));
}

function nameOf(p) {
    const [name] = ROLES[roleOf(p)] || [roleOf(p)];
    return p.channel ? `${p.channel}${p.account && p.account !== "default" ? ` (${p.account})` : ""}` : p.instance ? `${name} ${p.instance + 1}` : name;
}

function memory(p) {
    if (!p.memoryKib) return null;
    const share = p.memoryLimitKib ? p.memoryKib / p.memoryLimitKib : 0;
    return [h("dt", {}, "Memory"), h("dd", {}, bytes(p.memoryKib * 1024), p.memoryLimitKib ? h("span", {class: "soft"}, ` of ${bytes(p.memoryLimitKib * 1024)}`) : null,
        p.memoryLimitKib ? h("span", {class: `gauge${share > 0.85 ? " warn" : ""}`, "aria-hidden": "true"}, h("i", {css: {width: `${Math.max(2, Math.min(100, share * 100))}%`}})) : null)];
}

const opened = new Set(); /* boxes that stay open while the page is drawn again */

function sandbox(p) {
    const s = p.sandbox;
    if (!s) return h("p", {class: "soft cage"}, "Sandbox not measured yet");
    const missing = s.missing || [], all = s.layers.length + missing.length, id = `${p.role}${p.instance}${p.channel || ""}`;
    const box = h("details", {class: `cage ${missing.length || s.testBuild ? "warn" : "ok"}`, open: opened.has(id)}, h("summary", {}, icon("lock", 16),
        s.testBuild ? "A test build: nothing is enforced" : missing.length ? `${s.layers.length} of ${all} sandbox walls stand` : `All ${all} sandbox walls stand`),
        h("ul", {}, s.layers.map((l) => h("li", {}, icon("check", 14), layer(l))), missing.map((l) => h("li", {class: "bad"}, icon("close", 14), `missing: ${layer(l)}`))));
    box.addEventListener("toggle", () => opened[box.open ? "add" : "delete"](id));
    return box;
}

function proc(p) {
    const [, what] = ROLES[roleOf(p)] || ["", ""];
    const kind = p.state === "up" ? "ok" : p.state === "starting" ? "warn" : "err";
    return h("li", {class: `proc ${kind}`}, h("header", {}, h("span", {class: `dot ${kind}${p.state === "up" ? "" : " pulse"}`}), h("h3", {}, nameOf(p)), h("span", {class: "soft"}, p.state)),
        h("p", {class: "soft what"}, what), h("dl", {class: "num"}, memory(p), h("dt", {}, "Restarts"), h("dd", {}, p.restarts), h("dt", {}, "Ready in"), h("dd", {}, span(p.readyUs / 1000)), h("dt", {}, "Process"), h("dd", {}, p.pid)), trail(p), sandbox(p));
}

function picture(gw, d) {
    const procs = d.fleet?.processes;
    if (!procs) return h("section", {class: "card"}, h("h2", {}, "Processes"), h("p", {class: "soft"}, "Only an administrator sees the processes."));
    follow(procs);
    const busy = (d.fleet.lanes || []).some((l) => l.running);
    const of = (role) => procs.filter((p) => roleOf(p) === role), rest = procs.filter((p) => !["front", "hub", "agent"].includes(roleOf(p)));
    const wire = () => h("span", {class: "wire", "aria-hidden": "true"}), column = (role) => h("ul", {class: "col"}, of(role).map(proc));
    return h("section", {ariaLabel: "Processes"}, h("h2", {}, "Processes"),
        h("p", {class: "soft"}, "Several small programs instead of a large one. Each holds only what it needs; one that falls is started again while the others go on."),
        h("div", {class: `flow${busy ? " busy" : ""}`}, h("div", {class: "end"}, icon("device", 26), h("b", {}, plural(Math.max(0, (d.presence?.length || 1) - 1), "client")), h("span", {}, "browsers, phones, tools")),
            wire(), column("front"), wire(), column("hub"), wire(), column("agent"), wire(),
            h("div", {class: "end"}, icon("spark", 26), h("b", {}, "Models"), h("span", {}, d.status.sessions?.defaults?.model || ""))),
        rest.length ? h("ul", {class: "others"}, rest.map(proc)) : null);
}

/* ---- turns, queues, errors ---- */

function turns(d) {
    const t = d.turns;
    if (!t) return null;
    const points = (f) => t.buckets.map((b) => ({at: b.at, values: f(b)}));
    const sum = (f) => t.buckets.reduce((s, b) => s + f(b), 0), failed = sum((b) => b.failed);
    return h("section", {ariaLabel: "Turns over time"}, h("h2", {}, "Turns"),
        h("p", {class: "soft"}, `${plural(sum((b) => b.ok) + failed, "turn")} in the last ${span(t.bucketMs * t.buckets.length)}`, failed ? `, ${failed} of them without an answer.` : "."),
        h("div", {class: "charts"},
            chart({title: "Turns", points: points((b) => [b.ok, b.failed]), kinds: [{name: "answered", color: "brand"}, {name: "failed", color: "err"}]}),
            chart({title: "Time to the whole answer", points: points((b) => (b.ok ? [b.msSum / b.ok, b.msMax] : [null, null])), kinds: [{name: "mean", color: "brand", line: true}, {name: "longest", color: "soft", line: true}], say: span}),
            chart({title: "Tokens", points: points((b) => [b.tokensOut, b.tokensIn]), kinds: [{name: "written", color: "brand"}, {name: "read", color: "soft"}], say: count})));
}

function queues(d) {
    return h("section", {class: "card", ariaLabel: "Queues"}, h("h2", {}, "Queues"), h("ul", {class: "lanes"}, (d.fleet?.lanes || []).map((l) => h("li", {},
        h("span", {}, LANES[l.lane] || l.lane), h("span", {class: "slots", role: "img", ariaLabel: `${l.running} of ${l.concurrency} running`}, Array.from({length: Math.min(16, l.concurrency)}, (_, i) => h("i", {class: i < l.running ? "on" : ""}))),
        h("span", {class: "soft num"}, `${l.running} of ${l.concurrency} busy${l.waiting ? `, ${l.waiting} waiting` : ""}`)))));
}

function errors(gw, d) {
    if (!gw.has("logs.tail")) return null;
    return h("section", {class: "card", ariaLabel: "Last warnings and errors"}, h("div", {class: "row"}, h("h2", {}, "Last warnings and errors"), h("span", {class: "grow"}), h("a", {href: "#/logs"}, "All logs")),
        d.errors.length ? h("ul", {class: "loglist"}, d.errors.map((l) => h("li", {}, h("time", {class: "num"}, clock(Date.parse(l.ts) || Date.now())), h("span", {class: `tag ${l.level === "error" ? "err" : "warn"}`}, l.level),
            h("span", {}, h("b", {}, l.event || ""), " ", h("span", {class: "soft"}, [l.proc, l.why || l.error || l.text || l.reason].filter(Boolean).join(": ")))))) : h("p", {class: "soft"}, "None in what the gateway remembers."));
}

export default function overview(gw) {
    const parts = new Map();
    /* a part is drawn anew only when what it shows changed: nothing flickers, no hover is lost */
    const part = (name, data, make) => {
        const have = parts.get(name), mark = JSON.stringify(data);
        if (have?.mark === mark) return have.node;
        const node = make();
        parts.set(name, {mark, node});
        return node;
    };
    return reading(gw, {load: () => load(gw), every: 4000, events: ["health", "presence", "shutdown"], draw: (d) => [
        head("Overview"), verdict(gw, d), part("glance", [d.turns, d.fleet?.lanes], () => glance(d)),
        part("picture", [d.fleet?.processes, d.presence?.length, (d.fleet?.lanes || []).some((l) => l.running)], () => picture(gw, d)), part("turns", d.turns, () => turns(d)),
        h("div", {class: "two"}, part("queues", d.fleet?.lanes, () => queues(d)), part("errors", d.errors, () => errors(gw, d)))]});
}
