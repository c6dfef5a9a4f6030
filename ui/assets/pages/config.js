/*
 * pages/config.js - the configuration as a form made of the schema, with search, and as text. Nothing is written before
 * the difference was shown; a setting that is cleared leaves the file; what was saved last can be taken back.
 */
import {ask, dateTime, errorText, h, icon, put, toast} from "../lib/dom.js";
import {changes, lineDiff} from "./diff.js";
import {field} from "./field.js";
import {head} from "./kit.js";

const HIDDEN = "__OPENCLAW_REDACTED__";
const at = (doc, path) => path.reduce((v, k) => (v === null || typeof v !== "object" ? undefined : v[k]), doc);

/* Every setting that has a place: the table's rows, with "*" for each name that is there. [{path, key, schema, hint}] */
function settings(schema, hints, doc) {
    const out = [], parts = new Set(Object.keys(hints).map((k) => k.slice(0, k.lastIndexOf(".")))); /* places with rows of their own below */
    for (const [text, hint] of Object.entries(hints)) {
        if (text.includes("[]")) continue;
        let places = [[[], schema]];
        for (const part of text.split(".")) {
            places = places.flatMap(([path, s]) => {
                if (part !== "*") return s?.properties?.[part] ? [[[...path, part], s.properties[part]]] : [];
                const here = at(doc, path);
                return here && typeof here === "object" ? Object.keys(here).filter((k) => !s?.properties?.[k]).map((k) => [[...path, k], s?.additionalProperties]) : [];
            });
        }
        for (const [path, s] of places)
            if (s && !(at(doc, path) && typeof at(doc, path) === "object" && !Array.isArray(at(doc, path)) && parts.has(text)) && !(s.type === "object" && (s.properties && Object.keys(s.properties).length || s.additionalProperties?.properties)))
                out.push({path, key: path.join("."), schema: s, hint});
    }
    return out;
}

/* A merge patch of what was changed: null removes. */
function patchOf(edits) {
    const patch = {};
    for (const {path, value} of edits.values()) {
        let o = patch;
        for (const k of path.slice(0, -1)) o = o[k] ??= {};
        o[path.at(-1)] = value === undefined ? null : value;
    }
    return patch;
}

/* What only the file may change is shown, not offered. */
function fixed(v) {
    if (v === undefined) return h("span", {class: "soft"}, "not set");
    if (v === HIDDEN) return h("span", {class: "soft"}, icon("lock", 14), " set, hidden");
    return h("code", {}, typeof v === "string" ? v : JSON.stringify(v, null, 1).replaceAll(HIDDEN, "hidden"));
}

/* The lists that the edits take from: the gateway wants them named (replacePaths). */
function listsOf(edits) {
    const below = (v, path) => (Array.isArray(v) ? [path.join(".")] : v && typeof v === "object" ? Object.entries(v).flatMap(([k, x]) => below(x, [...path, k])) : []);
    return [...edits.values()].flatMap((e) => below(e.old, e.path)).slice(0, 256);
}

/* What was there before the last save, for as long as this tab is open. Secrets are hidden in it. */
const undo = {
    get: () => {
        try {
            return JSON.parse(sessionStorage.getItem("config-undo"));
        } catch {
            return null;
        }
    },
    set: (v) => {
        try {
            sessionStorage.setItem("config-undo", JSON.stringify(v));
        } catch { /* the file has its .bak */ }
    },
};

class ConfigPage {
    constructor(gw) {
        Object.assign(this, {gw, edits: new Map(), issues: new Map(), text: "", section: "", raw: false, undo: undo.get()});
        this.writable = gw.may("admin") && gw.has("config.patch", "config.set");
        this.search = h("input", {type: "search", placeholder: "Search settings", ariaLabel: "Search settings", oninput: () => {
            this.text = this.search.value.trim().toLowerCase();
            this.draw();
        }});
        this.box = h("div", {class: "config"});
        this.notice = h("div", {});
        this.bar = h("div", {class: "savebar", hidden: true, role: "region", ariaLabel: "Unsaved changes"});
    }

    show(el, arg) {
        this.section = arg || "";
        const mode = (raw, label) => h("button", {type: "button", "aria-pressed": String(this.raw === raw), onclick: (e) => {
            this.raw = raw;
            for (const b of e.target.parentNode.children) b.setAttribute("aria-pressed", String(b === e.target));
            this.draw();
        }}, label);
        this.undoButton = h("button", {type: "button", class: "button", hidden: true, onclick: () => this.rollback()}, icon("retry", 18), "Take back the last save");
        put(el, h("div", {class: "page"}, head("Configuration", null, this.search, h("div", {class: "seg", role: "group", ariaLabel: "View"}, mode(false, "Form"), mode(true, "Text")), this.undoButton),
            this.notice, this.box, this.bar));
        this.off = this.gw.on("config.changed", () => this.edits.size === 0 && this.load());
        this.onState = () => this.gw.state === "ready" && this.edits.size === 0 && this.load();
        this.gw.addEventListener("state", this.onState);
        this.load();
    }

    move(arg) {
        this.section = arg || "";
        this.draw();
    }

    leave() {
        this.off();
        this.gw.removeEventListener("state", this.onState);
    }

    async load() {
        try {
            const [got, schema] = await Promise.all([this.gw.ask("config.get"), this.gw.has("config.schema") ? this.schema || this.gw.ask("config.schema") : null]);
            this.got = got;
            this.schema = schema;
            this.doc = got.parsed || {};
            this.rows = schema ? settings(schema.schema, schema.uiHints, this.doc) : [];
            this.draw();
        } catch (e) {
            if (e.code !== "LOST") put(this.box, h("p", {class: "notice err", role: "alert"}, errorText(e)));
        }
    }

    /* ---- the form ---- */

    draw() {
        if (!this.got) return;
        const why = this.writable ? "" : this.gw.has("config.patch") ? "Only an administrator changes it here." : "This gateway shows its configuration but does not let it be changed here: edit the file, it is read again by itself.";
        put(this.notice, h("p", {class: "soft"}, "In ", h("code", {}, this.got.path), this.got.exists ? "" : ", which is not there yet", ". ", why),
            (this.got.issues || []).map((i) => h("p", {class: "notice err"}, h("b", {}, i.path), " ", i.message)), (this.got.warnings || []).map((i) => h("p", {class: "notice warn"}, h("b", {}, i.path), " ", i.message)));
        this.undoButton.hidden = !this.undo || !this.writable;
        if (this.raw || !this.schema) this.drawText();
        else this.drawForm();
        this.drawBar();
    }

    drawForm() {
        const fits = (r) => !this.text || r.key.toLowerCase().includes(this.text) || (r.hint.help || "").toLowerCase().includes(this.text);
        const set = (r) => at(this.doc, r.path) !== undefined || this.edits.has(r.key);
        const sections = [...new Set(this.rows.filter((r) => !r.hint.advanced || set(r)).map((r) => r.path[0]))].sort();
        const open = this.text ? "" : sections.includes(this.section) ? this.section : "";
        let rows = this.rows.filter((r) => fits(r) && (open ? r.path[0] === open : this.text || set(r)) && (!r.hint.advanced || this.text || set(r)));
        rows = rows.sort((a, b) => (a.key < b.key ? -1 : 1));
        const more = rows.length > 150 ? rows.length - 150 : 0;
        const groups = new Map();
        for (const r of rows.slice(0, 150)) {
            const name = r.path.slice(0, -1).join(".") || r.path[0];
            groups.set(name, [...(groups.get(name) || []), r]);
        }
        put(this.box, h("nav", {class: "config-nav", ariaLabel: "Sections"}, h("a", {href: "#/config", "aria-current": open || this.text ? null : "true"}, "What is set"),
            sections.map((s) => h("a", {href: `#/config/${s}`, "aria-current": s === open ? "true" : null}, s, this.rows.some((r) => r.path[0] === s && this.edits.has(r.key)) ? h("span", {class: "dot", role: "img", ariaLabel: "changed"}) : null))),
        h("div", {class: "config-rows"}, rows.length ? [...groups].map(([name, list]) => h("section", {class: "card"}, h("h2", {class: "mono"}, name), list.map((r) => this.row(r)))) :
            h("p", {class: "soft"}, this.text ? `No setting fits “${this.text}”.` : "Everything is at its default. Choose a section to see what can be set."), more ? h("p", {class: "soft"}, `${more} more. Search to narrow it down.`) : null));
    }

    row(r) {
        const edit = this.edits.get(r.key), have = at(this.doc, r.path), value = edit ? edit.value : have, locked = !this.writable;
        const issue = this.issues.get(r.key), id = `set-${r.key}`;
        const change = (next) => {
            if (JSON.stringify(next) === JSON.stringify(have)) this.edits.delete(r.key);
            else this.edits.set(r.key, {path: r.path, value: next, old: have});
            this.issues.delete(r.key);
            const fresh = this.row(r);
            el.replaceWith(fresh);
            if (next === undefined) fresh.querySelector("input, select, textarea")?.focus();
            this.drawBar();
        };
        const el = h("div", {class: `setting${edit ? " changed" : ""}`}, h("div", {class: "about"}, r.hint.readOnly ? h("code", {}, r.path.at(-1)) : h("label", {htmlFor: id}, h("code", {}, r.path.at(-1))), r.hint.readOnly && h("span", {class: "tag", title: "It names a program or file or opens the gateway: only who can write the file sets it."}, icon("lock", 13), " file only"),
            h("p", {class: "soft"}, r.hint.help || "", r.schema.default !== undefined ? h("span", {}, ". Default: ", h("code", {}, JSON.stringify(r.schema.default)), ".") : null),
            issue && h("p", {class: "bad", id: `${id}-bad`, role: "alert"}, icon("warn", 16), issue)),
        r.hint.readOnly ? h("div", {class: "value"}, h("p", {class: "fixed", id}, fixed(value))) : h("div", {class: "value"}, field({id, schema: r.schema, hint: r.hint, value, hidden: value === HIDDEN, locked, bad: issue && `${id}-bad`, change}),
            value !== undefined && !locked ? h("button", {type: "button", class: "link", ariaLabel: `Clear ${r.key}`, onclick: () => change(undefined)}, "Clear") : null,
            edit ? h("button", {type: "button", class: "link", ariaLabel: `Undo the change of ${r.key}`, onclick: () => change(have)}, "Undo") : null));
        return el;
    }

    drawBar() {
        const n = this.edits.size;
        this.bar.hidden = !n || this.raw;
        put(this.bar, h("span", {}, n === 1 ? "1 change is not saved." : `${n} changes are not saved.`), h("span", {class: "grow"}), h("button", {type: "button", class: "button", onclick: () => {
            this.edits.clear();
            this.issues.clear();
            this.draw();
        }}, "Discard"), h("button", {type: "button", class: "button primary", onclick: () => this.review()}, "Review and save"));
    }

    async review() {
        const rows = [...this.edits].map(([key, e]) => ({key, old: e.old, now: e.value}));
        if (await this.confirm(changes(rows))) await this.save("config.patch", JSON.stringify(patchOf(this.edits)), {replacePaths: listsOf(this.edits)});
    }

    confirm(body) {
        return ask({title: "Save these changes?", body, ok: "Save"});
    }

    /* ---- the text ---- */

    drawText() {
        if (this.got.raw === null || this.got.raw === undefined) {
            put(this.box, h("p", {class: "notice"}, this.got.exists ? "A comment in the file may hold a secret, so its text is not shown. The form works." : "There is no file yet. The form makes one."));
            return;
        }
        const area = h("textarea", {class: "mono editor tall", value: this.got.raw, spellcheck: false, ariaLabel: "Configuration as JSON5", readOnly: !this.writable});
        put(this.box, h("div", {class: "rawbox"}, h("p", {class: "soft"}, "Secrets are hidden as ", h("code", {}, HIDDEN), "; where that stays, the secret stays."), area,
            this.writable && h("div", {class: "row end"}, h("button", {type: "button", class: "button", onclick: () => { area.value = this.got.raw; }}, "Discard"), h("button", {type: "button", class: "button primary", onclick: async () => {
                if (area.value === this.got.raw) toast("Nothing was changed.");
                else if (await this.confirm(lineDiff(this.got.raw, area.value))) await this.save("config.set", area.value);
            }}, "Review and save"))));
    }

    /* ---- saving ---- */

    async save(method, raw, more) {
        const before = this.got.raw;
        this.issues.clear();
        try {
            const got = await this.gw.ask(method, {raw, baseHash: this.got.hash, ...more});
            if (before && !got.noop) undo.set(this.undo = {raw: before, at: Date.now()});
            this.edits.clear();
            toast("Saved. It is in force.");
            await this.load();
        } catch (e) {
            for (const i of e.details?.issues || []) this.issues.set(i.path, i.message);
            if (/changed since/.test(e.message)) {
                toast("The file was changed meanwhile. It was read again; your changes are kept: look at them and save again.", "err");
                await this.load();
            } else {
                this.draw();
                this.notice.prepend(h("div", {class: "notice err", role: "alert"}, h("b", {}, "Not saved. "), errorText(e)));
                this.notice.scrollIntoView({block: "nearest"});
            }
        }
    }

    async rollback() {
        if (await ask({title: "Take back the last save?", body: [h("p", {class: "soft"}, `To what the file was before ${dateTime(this.undo.at)}. Secrets stay as they are now.`), lineDiff(this.got.raw || "", this.undo.raw)], ok: "Take back", danger: true})) {
            const raw = this.undo.raw;
            undo.set(this.undo = null);
            await this.save("config.set", raw);
        }
    }
}

export default (gw) => new ConfigPage(gw);
