/*
 * chat/store.js - one conversation as this page knows it: messages that the gateway has, messages on their way to it,
 * and answers that are still being made.
 * A message is safe once chat.send was answered; until then it stays in the outbox and is sent again, with the same
 * key, after every new connection: the gateway takes a key once.
 */
import {filesOf} from "./media.js";

const PAGE = 60, AGAIN = 400;
const STOPPED = new Set(["aborted", "rpc", "timeout", "restart"]);

export const same = (a, b) => a === b || `agent:main:${a}` === b || a === `agent:main:${b}`;

/* The parts of a message in one form: [{type: text|thinking|tool|image, …}]. */
export function parts(message) {
    const c = message.content;
    if (typeof c === "string") return c ? [{type: "text", text: c}] : [];
    return (Array.isArray(c) ? c : []).map((p) => {
        if (p.type === "toolCall" || p.type === "tool_use") return {type: "tool", id: p.id, name: p.name, args: p.arguments ?? p.input};
        if (p.type === "thinking") return {type: "thinking", text: p.thinking || p.text || ""};
        if (p.type === "image") return {type: "image", data: p.data || p.source?.data, mime: p.mimeType || p.source?.media_type, omitted: !!p.omitted};
        return {type: "text", text: p.text || ""};
    });
}

export function textOf(message) {
    return parts(message).filter((p) => p.type === "text").map((p) => p.text).join("\n\n");
}

function fromWire(m) {
    const own = m.__openclaw || {};
    return {files: filesOf(own), id: own.id || `${m.role}-${m.timestamp}`, seq: own.seq, role: m.role, parts: parts(m), at: m.timestamp || own.recordTimestampMs,
            runId: own.runId, key: m.idempotencyKey || own.idempotencyKey, model: m.model, provider: m.provider, usage: m.usage,
            stop: STOPPED.has(m.stopReason) ? "aborted" : m.stopReason, error: m.stopReason === "error" ? m.errorMessage || textOf(m) : null, toolCallId: m.toolCallId,
            isError: m.isError, raw: m};
}

export class Conversation extends EventTarget {
    constructor(gw, key) {
        super();
        Object.assign(this, {gw, key, messages: [], runs: new Map(), outbox: new Map(), ended: new Set(), results: new Map(),
                             more: false, loading: false, loaded: false, info: null, failure: null, commands: [], models: []});
        this.off = [gw.on("chat", (p) => this.mine(p) && this.chat(p)), gw.on("agent", (p) => this.mine(p) && this.agent(p)),
                    gw.on("session.message", (p) => this.mine(p) && this.message(p)),
                    gw.on("sessions.changed", (p) => this.mine(p) && this.changed(p))];
    }

    close() {
        for (const f of this.off) f();
        if (this.gw.state === "ready" && this.subscribed) this.gw.ask("sessions.messages.unsubscribe", {key: this.key}).catch(() => {});
        this.closed = true;
    }

    mine(p) {
        return same(p.sessionKey, this.key) || (this.info && p.sessionKey === this.info.key);
    }

    tell(what = "change") {
        if (!this.closed) this.dispatchEvent(new Event(what));
    }

    get busy() {
        return this.runs.size > 0;
    }

    /* ---- history ---- */

    /* Reads the newest messages and what is running; again after every new connection. */
    async load() {
        const limit = Math.min(1000, Math.max(PAGE, this.messages.length));
        this.loading = true;
        this.tell();
        try {
            if (this.gw.has("sessions.messages.subscribe"))
                this.gw.ask("sessions.messages.subscribe", {key: this.key}).then(() => { this.subscribed = true; }, () => {});
            const method = this.gw.has("chat.startup") ? "chat.startup" : "chat.history";
            const got = await this.gw.ask(method, {sessionKey: this.key, limit});
            this.take(got);
            this.failure = null;
        } catch (e) {
            this.failure = e;
            if (e.code === "UNAVAILABLE") setTimeout(() => !this.closed && this.load(), AGAIN);
        }
        this.loading = false;
        this.loaded = true;
        this.tell();
        if (!this.failure) this.flush();
    }

    take(got) {
        this.info = got.sessionInfo || this.info;
        this.more = !!got.hasMore;
        this.next = got.nextOffset;
        if (got.metadata) {
            this.commands = got.metadata.commands || [];
            this.models = got.metadata.models || [];
        }
        this.messages = [];
        this.results.clear();
        for (const m of got.messages || []) this.put(fromWire(m));
        const active = new Set([got.inFlightRun?.runId, ...(got.sessionInfo?.activeRunIds || [])].filter(Boolean));
        for (const id of [...this.runs.keys()]) if (!active.has(id) && !this.outbox.has(id)) this.runs.delete(id);
        for (const p of got.pendingInputs?.items || []) if (p.runId) active.add(p.runId);
        for (const id of active) {
            if (this.messages.some((m) => m.runId === id && m.role === "assistant" && m.stop !== "toolUse")) continue;
            const r = this.run(id);
            if (id === got.inFlightRun?.runId) {
                r.at = got.inFlightRun.startedAt || r.at;
                r.text = got.inFlightRun.text || "";
                r.phase = r.text ? "writing" : r.phase;
            }
        }
        this.optimistic();
    }

    /* What was sent and is not in the history yet stays visible. */
    optimistic() {
        for (const o of this.outbox.values())
            if (!this.messages.some((m) => m.key === o.message.key)) this.messages.push(o.message);
    }

    async older() {
        if (!this.more || this.loading || this.gw.state !== "ready") return;
        this.loading = true;
        this.tell();
        try {
            const got = await this.gw.ask("chat.history", {sessionKey: this.key, limit: PAGE, offset: this.next ?? this.messages.length});
            const known = new Set(this.messages.map((m) => m.id));
            const fresh = (got.messages || []).map(fromWire).filter((m) => !known.has(m.id));
            for (const m of fresh) if (m.role === "toolResult") this.results.set(m.toolCallId, m);
            this.messages = [...fresh.filter((m) => m.role !== "toolResult"), ...this.messages];
            this.more = !!got.hasMore;
            this.next = got.nextOffset;
        } catch { /* scrolling asks again */ }
        this.loading = false;
        this.tell();
    }

    put(m) {
        if (m.role === "toolResult") return void this.results.set(m.toolCallId, m);
        const i = this.messages.findIndex((x) => x.id === m.id || (m.key && x.key === m.key));
        if (i < 0) return void this.messages.push(m);
        if (this.messages[i].files?.length) m.files = this.messages[i].files;
        m.view = this.messages[i].view; /* it keeps its place and node */
        this.messages[i] = m;
    }

    /* ---- sending ---- */

    send(text, files = []) {
        const id = crypto.randomUUID();
        const message = {id, key: `${id}:user`, role: "user", parts: text ? [{type: "text", text}] : [], files, at: Date.now(), state: "sending"};
        this.outbox.set(id, {message, text, files});
        this.messages.push(message);
        const r = this.run(id);
        r.phase = "sending";
        this.tell("sent");
        this.post(id);
        return id;
    }

    async post(id) {
        const o = this.outbox.get(id);
        if (!o || o.going) return;
        if (this.gw.state !== "ready") return void this.tell();
        o.going = true;
        try {
            const params = {sessionKey: this.key, message: o.text, idempotencyKey: id, deliver: false};
            if (o.files.length) params.attachments = o.files.map((f) => ({type: f.type.startsWith("image/") ? "image" : "file", mimeType: f.type || "application/octet-stream",
                                                                            fileName: f.name, content: f.base64}));
            const got = await this.gw.ask("chat.send", params, 60000);
            this.outbox.delete(id);
            o.message.state = "saved";
            if (got.runId !== id || ["ok", "error", "aborted", "timeout"].includes(got.status)) {
                this.runs.delete(id);
                if (got.status) await this.load();
                else this.dispatchEvent(new CustomEvent("note", {detail: got.aborted ? "Stopped." : "Nothing was running."}));
            } else if (this.runs.get(id)?.phase === "sending") this.runs.get(id).phase = "saved";
        } catch (e) {
            o.going = false;
            if (e.code === "LOST" || e.code === "TIMEOUT" || (e.code === "UNAVAILABLE" && e.retryable)) {
                o.message.state = "waiting";
                if (e.code !== "LOST") setTimeout(() => this.post(id), e.retryAfterMs || AGAIN);
            } else {
                this.outbox.delete(id);
                this.runs.delete(id);
                o.message.state = "failed";
                o.message.error = e.message;
            }
        }
        this.tell();
    }

    flush() {
        for (const id of this.outbox.keys()) this.post(id);
    }

    remove(message) {
        this.messages = this.messages.filter((m) => m !== message);
        this.tell();
    }

    async stop() {
        for (const r of this.runs.values()) r.stopping = true;
        this.tell();
        await this.gw.ask("chat.abort", {sessionKey: this.key});
    }

    /* ---- what the gateway says ---- */

    run(id) {
        let r = this.runs.get(id);
        if (!r) {
            r = {id, phase: "saved", text: "", at: Date.now(), tools: new Map(), stash: [], retry: null, model: null};
            this.runs.set(id, r);
        }
        return r;
    }

    chat(p) {
        if (this.ended.has(p.runId)) return;
        if (p.state === "status") {
            const r = this.run(p.runId);
            r.phase = p.phase;
            r.retry = p.retry || null;
        } else if (p.state === "delta") {
            const r = this.run(p.runId), whole = p.message?.content?.[0]?.text;
            r.text = whole !== undefined ? whole : p.replace ? p.deltaText : r.text + (p.deltaText || "");
            r.phase = "writing";
            r.retry = null;
        } else {
            this.end(p);
        }
        this.tell();
    }

    end(p) {
        const r = this.runs.get(p.runId);
        this.ended.add(p.runId);
        if (this.ended.size > 500) this.ended.delete(this.ended.values().next().value);
        this.runs.delete(p.runId);
        if (r?.stash.length) {
            for (const m of r.stash) this.put(m);
        } else if (p.message || p.state !== "final") {
            const m = fromWire(p.message || {role: "assistant", content: r?.text || "", timestamp: Date.now()});
            Object.assign(m, {id: `run-${p.runId}`, runId: p.runId, at: m.at || Date.now(), stop: p.state === "final" ? p.stopReason : p.state});
            if (p.state === "error") m.error = p.errorMessage || "The turn failed.";
            if (m.parts.length || p.state !== "final") this.put(m);
        }
        const last = this.messages.findLast((m) => m.runId === p.runId);
        if (last && p.state === "error") last.error = p.errorMessage || last.error;
        if (last && p.state === "aborted") last.stop = "aborted";
        this.tell(p.state === "error" ? "failed" : "finished");
    }

    agent(p) {
        if (this.ended.has(p.runId)) return;
        const d = p.data || {};
        if (p.stream === "tool") {
            const r = this.run(p.runId), t = r.tools.get(d.toolCallId) || {id: d.toolCallId, name: d.name, args: d.args, from: r.text.length, at: Date.now()};
            if (d.phase === "result") Object.assign(t, {done: true, isError: d.isError, result: d.result ?? d.meta});
            if (d.phase === "update") t.partial = d.partialResult;
            r.tools.set(d.toolCallId, t);
            r.phase = t.done ? "thinking" : "tool";
            r.tool = d.name;
        } else if (p.stream === "lifecycle" && d.phase === "model") {
            this.run(p.runId).model = `${d.provider}/${d.model}`;
        } else return;
        this.tell();
    }

    message(p) {
        const m = fromWire({...p.message, __openclaw: {...p.message.__openclaw, id: p.messageId || p.message.__openclaw?.id}});
        if (m.role === "user") {
            const o = this.outbox.get((m.key || "").replace(/:user$/, ""));
            if (o) m.files = o.files;
            m.state = "saved";
            this.put(m);
        } else if (m.runId && this.runs.has(m.runId)) {
            this.runs.get(m.runId).stash.push(m);
        } else {
            const i = this.messages.findIndex((x) => x.id === `run-${m.runId}`);
            if (i >= 0) {
                m.view = this.messages[i].view;
                this.messages[i] = m;
            } else this.put(m);
        }
        this.tell();
    }

    changed(p) {
        if (p.session) this.info = {...this.info, ...p.session};
        if (p.reason === "reset" || p.reason === "compact" || p.reason === "new") this.load();
        else if (p.reason === "delete") this.messages = [];
        this.tell();
    }
}
