/*
 * chat/view.js - messages and running answers as elements. An element is made anew only when what it shows changed.
 */
import {clock, copyText, count, dateTime, day, h, icon, iconButton, put, span} from "../lib/dom.js";
import {render} from "../lib/markdown.js";
import {keptFile} from "./media.js";

const PHASE = {
    sending: "Sending", saved: "Received. Waiting for a free agent", preparing_workspace: "An agent has it", preparing_context: "Reading the conversation",
    starting_model: "Asking the model", memory_flushing: "Summarising the older part", naming_worktree: "Preparing a workspace", creating_worktree: "Preparing a workspace",
    running_setup: "Preparing a workspace", provisioning_environment: "Preparing a workspace", thinking: "Thinking", writing: "Writing",
};

export function phaseText(r, lost) {
    if (lost) return r.phase === "sending" ? "Waits for the connection" : "The gateway goes on; this page hears of it when the connection is back";
    if (r.stopping) return "Stopping";
    if (r.retry) return `The model did not answer${r.retry.reason ? ` (${r.retry.reason})` : ""}. Try ${r.retry.attempt} of ${r.retry.maxAttempts}`;
    if (r.phase === "tool") return `Using ${r.tool || "a tool"}`;
    if (r.phase === "starting_model" && r.model) return `Asking ${r.model}`;
    return PHASE[r.phase] || "Working";
}

/* One line that names what happened, from what a tool was given. */
function toolTitle(t) {
    const a = t.args && typeof t.args === "object" ? t.args : {};
    const what = [a.command, a.path, a.file, a.url, a.query, a.pattern, a.message, a.text].find((x) => typeof x === "string") || "";
    return what.split("\n")[0].slice(0, 90);
}

/* A document in one line is for programs. */
function pretty(text) {
    if (text.length > 50000 || !/^\s*[[{]/.test(text)) return text;
    try {
        return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text;
    }
}

function shown(x) {
    if (x === undefined || x === null) return "";
    if (typeof x === "string") return pretty(x);
    if (Array.isArray(x?.content)) return x.content.map((p) => pretty(p.text ?? "")).join("\n");
    return JSON.stringify(x, null, 2);
}

function tool(t, result) {
    const res = result ? {done: true, isError: result.isError, result: {content: result.raw.content}} : t;
    const state = !res.done ? "running" : res.isError ? "bad" : "good";
    const body = h("div", {class: "tool-body"});
    const el = h("details", {class: `tool ${state}`}, h("summary", {}, icon("tool", 16), h("b", {}, t.name || "tool"), h("span", {class: "what"}, toolTitle(t)),
        h("span", {class: "tool-state"}, state === "running" ? "running" : state === "bad" ? "failed" : "done")), body);
    el.addEventListener("toggle", () => {
        if (!el.open || body.childElementCount) return;
        const out = shown(res.result ?? t.partial);
        put(body, h("h4", {}, "Given"), h("pre", {tabIndex: 0}, shown(t.args).slice(0, 20000) || "nothing"),
            h("h4", {}, "Came back"), h("pre", {tabIndex: 0}, out.slice(0, 50000) || (res.done ? "nothing" : "not yet")));
    });
    return el;
}

function picture(p) {
    if (!p.data || !/^image\/(png|jpeg|gif|webp)$/.test(p.mime || "")) return h("p", {class: "soft"}, icon("image", 16), " A picture that the gateway does not keep for the history");
    return h("img", {class: "picture", src: `data:${p.mime};base64,${p.data}`, alt: "Picture in this message", loading: "lazy"});
}

function files(list, gw) {
    if (!list?.length) return null;
    return h("div", {class: "files"}, list.map((f) => f.source ? keptFile(gw, f) : f.url ? h("img", {class: "picture", src: f.url, alt: f.name}) : h("span", {class: "file"}, icon("file", 16), f.name)));
}

function body(el, partsOf, conversation) {
    let box = null;
    for (const p of partsOf) {
        if (p.type === "text") {
            box = h("div", {class: "md"});
            render(box, p.text);
            el.append(box);
        } else if (p.type === "thinking") {
            const inner = h("div", {class: "tool-body md"});
            render(inner, p.text);
            el.append(h("details", {class: "tool thought"}, h("summary", {}, icon("spark", 16), h("b", {}, "Thoughts")), inner));
        } else if (p.type === "tool") el.append(tool(p, conversation.results.get(p.id) || null));
        else if (p.type === "image") el.append(picture(p));
    }
}

function usageText(m) {
    const u = m.usage;
    const tokens = u && u.totalTokens ? `${count(u.input + (u.cacheRead || 0))} → ${count(u.output)} tokens` : "";
    return [m.model && m.model !== "gateway-injected" ? `${m.provider ? m.provider + "/" : ""}${m.model}` : "", tokens].filter(Boolean).join(" · ");
}

function plainText(m) {
    return m.parts.filter((p) => p.type === "text").map((p) => p.text).join("\n\n");
}

/* ---- a message ---- */

function user(m, c, act) {
    const text = plainText(m);
    const el = h("div", {class: "bubble"});
    if (text) el.append(h("div", {class: "said"}, text));
    for (const p of m.parts) if (p.type === "image") el.append(picture(p));
    if (m.files?.length) el.append(files(m.files, c.gw));
    const state = m.state === "failed" ? h("p", {class: "bad"}, icon("warn", 16), `Not sent: ${m.error}`) :
        m.state === "waiting" ? h("p", {class: "soft"}, "Will be sent when the connection is back") : null;
    return [el, state, h("div", {class: "acts"}, h("time", {title: dateTime(m.at)}, clock(m.at, false)),
        iconButton("copy", "Copy this message", (e) => copyText(text, e.currentTarget)),
        iconButton("edit", "Edit and send again", () => act.edit(m)),
        m.state === "failed" && iconButton("retry", "Send again", () => act.resend(m)))];
}

function assistant(m, c, act) {
    const text = plainText(m);
    const el = h("div", {class: "answer"});
    if (m.error) {
        body(el, m.parts.filter((p) => p.type !== "text" || !m.error.includes(p.text.trim())), c);
        el.append(h("div", {class: "failed", role: "group", ariaLabel: "The turn failed"}, icon("warn", 20), h("div", {}, h("strong", {}, "No answer came. "), m.error),
                    h("button", {type: "button", class: "button small", onclick: () => act.retry(m)}, icon("retry", 16), "Try again")));
    } else body(el, m.parts, c);
    if (m.stop === "aborted") el.append(h("p", {class: "soft stopped"}, "Stopped before the end."));
    return [el, h("div", {class: "acts"}, h("time", {title: dateTime(m.at)}, clock(m.at, false)), h("span", {class: "by"}, usageText(m)),
        iconButton("copy", "Copy this answer", (e) => copyText(text, e.currentTarget)),
        iconButton("retry", "Ask again", () => act.retry(m)))];
}

function other(m) {
    return [h("p", {class: "aside"}, plainText(m).slice(0, 2000) || m.role)];
}

export function messageNode(m, c, act) {
    const waiting = m.parts.filter((p) => p.type === "tool").map((p) => (c.results.has(p.id) ? 1 : 0)).join("");
    const mark = `${m.id}|${m.state}|${m.error}|${m.stop}|${m.parts.length}|${waiting}|${m.usage?.totalTokens}`;
    if (m.view?.mark === mark) return m.view;
    const made = m.role === "user" ? user(m, c, act) : m.role === "assistant" ? assistant(m, c, act) : other(m);
    const el = m.view || h("article", {});
    el.className = `msg ${m.role}${m.state ? " " + m.state : ""}`;
    el.setAttribute("aria-label", m.role === "user" ? "You" : m.role === "assistant" ? "Assistant" : m.role);
    put(el, made);
    el.mark = mark;
    m.view = el;
    return el;
}

/* ---- an answer in the making ---- */

export function runNode(r, lost) {
    if (!r.view) {
        r.status = h("p", {class: "work"});
        r.body = h("div", {class: "answer"});
        r.view = h("article", {class: "msg assistant live", ariaLabel: "Assistant, still answering", "aria-busy": "true"}, r.body, r.status);
        r.chunks = [];
    }
    const tools = [...r.tools.values()].sort((a, b) => a.from - b.from);
    const plan = [];
    let at = 0;
    for (const t of tools) {
        if (t.from > at) plan.push(["text", r.text.slice(at, t.from)]);
        plan.push(["tool", t]);
        at = t.from;
    }
    if (at < r.text.length) plan.push(["text", r.text.slice(at)]);
    plan.forEach(([kind, what], i) => {
        const have = r.body.children[i];
        if (kind === "text") {
            const box = have?.kind === "text" ? have : h("div", {class: "md"});
            box.kind = "text";
            if (box.shown !== what) {
                box.shown = what;
                render(box, what);
            }
            if (box !== have) have ? have.replaceWith(box) : r.body.append(box);
        } else if (!have || have.kind !== "tool" || have.of !== what.id || have.done !== !!what.done) {
            const el = tool(what);
            Object.assign(el, {kind: "tool", of: what.id, done: !!what.done});
            if (have?.kind === "tool" && have.open) el.open = true;
            have ? have.replaceWith(el) : r.body.append(el);
        }
    });
    while (r.body.childElementCount > plan.length) r.body.lastElementChild.remove();
    const text = phaseText(r, lost), took = Date.now() - r.at;
    const late = r.phase !== "writing" && took > 3000 ? span(Math.floor(took / 1000) * 1000) : "";
    if (r.status.said !== text + late) {
        r.status.said = text + late;
        put(r.status, h("span", {class: "dots"}, h("i"), h("i"), h("i")), h("span", {}, text), late && h("span", {class: "late"}, late));
    }
    r.view.classList.toggle("writing", r.phase === "writing" && !lost);
    return r.view;
}

export function dayNode(ms) {
    const el = h("p", {class: "day"}, h("span", {}, day(ms)));
    el.day = new Date(ms).toDateString();
    return el;
}
