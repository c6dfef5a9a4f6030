/* pages/logs.js - what the gateway says of itself, as it happens: filter, pause, times with seconds. */
import {clock, copyText, dateTime, errorText, h, icon, put} from "../lib/dom.js";
import {head} from "./kit.js";

const LINES_MAX = 3000, EVERY = 1000;
const LEVELS = ["debug", "info", "warn", "error"];
const KIND = {error: "err", fatal: "err", warn: "warn", debug: "", info: "brand"};
const STANDARD = new Set(["ts", "level", "event", "proc", "pid", "time", "subsystem", "message"]);

class LogsPage {
    constructor(gw) {
        Object.assign(this, {gw, lines: [], cursor: undefined, paused: false, held: 0, level: "info", text: "", proc: ""});
        this.filter = h("input", {type: "search", placeholder: "Filter by any word", ariaLabel: "Filter the log", oninput: () => {
            this.text = this.filter.value.toLowerCase();
            this.draw();
        }});
        this.levels = h("select", {ariaLabel: "Least level", onchange: () => {
            this.level = this.levels.value;
            this.draw();
        }}, LEVELS.map((l) => h("option", {value: l, selected: l === "info"}, l === "debug" ? "everything" : l === "info" ? "info and above" : l === "warn" ? "warnings and errors" : "errors only")));
        this.procs = h("select", {ariaLabel: "Process", onchange: () => {
            this.proc = this.procs.value;
            this.draw();
        }}, h("option", {value: ""}, "all processes"));
        this.pause = h("button", {type: "button", class: "button", "aria-pressed": "false", onclick: () => this.toggle()}, icon("pause", 18), "Pause");
        this.list = h("ol", {class: "log", tabIndex: 0, ariaLabel: "Log lines", onscroll: () => {
            this.stick = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
        }});
        this.stick = true;
        this.note = h("p", {class: "soft", role: "status"});
    }

    show(el) {
        put(el, h("div", {class: "page logs-page"}, head("Logs", null, this.filter, this.levels, this.procs, this.pause,
            h("button", {type: "button", class: "button", onclick: (e) => copyText(this.shown().map((l) => l.raw).join("\n"), null) && e}, icon("copy", 18), "Copy")), this.list, this.note));
        this.read();
    }

    leave() {
        this.gone = true;
        clearTimeout(this.timer);
    }

    toggle() {
        this.paused = !this.paused;
        this.pause.setAttribute("aria-pressed", String(this.paused));
        put(this.pause, icon(this.paused ? "play" : "pause", 18), this.paused ? "Go on" : "Pause");
        this.held = 0;
        this.draw();
    }

    async read() {
        if (this.gone) return;
        try {
            if (this.gw.state === "ready") {
                const got = await this.gw.ask("logs.tail", this.cursor === undefined ? {limit: 1000, maxBytes: 600000} : {cursor: this.cursor, limit: 1000, maxBytes: 600000});
                if (got.reset) this.add([{raw: "", event: "", text: "The log began anew: the gateway or its hub was started again.", level: "info", at: Date.now(), mark: true}]);
                this.cursor = got.cursor;
                if (got.lines.length || !this.began) this.add(got.lines.map(parse));
                this.began = true;
            }
        } catch (e) {
            if (e.code === "INVALID_REQUEST") this.cursor = undefined;
            else if (e.code !== "LOST") this.note.textContent = errorText(e);
        }
        if (!this.gone) this.timer = setTimeout(() => this.read(), EVERY);
    }

    add(lines) {
        this.lines.push(...lines);
        if (this.lines.length > LINES_MAX) this.lines.splice(0, this.lines.length - LINES_MAX);
        const procs = [...new Set(this.lines.map((l) => l.proc).filter(Boolean))].sort();
        if (procs.length !== this.procs.length - 1) {
            put(this.procs, h("option", {value: ""}, "all processes"), procs.map((p) => h("option", {value: p, selected: p === this.proc}, p)));
        }
        if (this.paused) {
            this.held += lines.length;
            this.note.textContent = `Paused. ${this.held} new lines wait.`;
        } else this.draw();
    }

    shown() {
        const least = LEVELS.indexOf(this.level);
        return this.lines.filter((l) => LEVELS.indexOf(l.level === "fatal" ? "error" : l.level) >= least && (!this.proc || l.proc === this.proc) && (!this.text || l.raw.toLowerCase().includes(this.text)));
    }

    draw() {
        if (this.paused && this.held) return;
        const all = this.shown(), rows = all.slice(-800);
        const known = new Map([...this.list.children].map((n) => [n.line, n]));
        this.list.replaceChildren(...rows.map((l) => known.get(l) || row(l)));
        this.note.textContent = rows.length ? `${all.length} of ${this.lines.length} lines${all.length > rows.length ? `, the newest ${rows.length} shown` : ""}` : this.lines.length ? "No line fits the filter." : "Nothing said yet.";
        if (this.stick) this.list.scrollTop = this.list.scrollHeight;
    }
}

function parse(raw) {
    try {
        const doc = JSON.parse(raw);
        return {...doc, raw, at: Date.parse(doc.ts) || 0, level: doc.level || "info", rest: Object.entries(doc).filter(([k]) => !STANDARD.has(k))};
    } catch {
        return {raw, text: raw, level: "info", at: 0, rest: []};
    }
}

function row(l) {
    const el = h("li", {class: l.mark ? "mark" : `level-${l.level}`}, h("time", {class: "num", title: l.at ? dateTime(l.at) : ""}, l.at ? clock(l.at) : ""), h("span", {class: `tag ${KIND[l.level] || ""}`}, l.level), h("span", {class: "proc-name"}, l.proc || ""),
        h("span", {class: "say"}, h("b", {}, l.event || ""), l.text ? ` ${l.text}` : "", (l.rest || []).map(([k, v]) => [" ", h("span", {class: "kv"}, `${k}=`), typeof v === "string" ? v : JSON.stringify(v)])));
    el.line = l;
    return el;
}

export default (gw) => new LogsPage(gw);
