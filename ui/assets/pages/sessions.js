/* pages/sessions.js - every conversation, archived ones as well: find, open, rename, archive, delete. */
import {ago, ask, count, dateTime, errorText, h, iconButton, menu, put, toast} from "../lib/dom.js";
import {running, titleOf} from "../chat/sessions.js";
import {head, none, tableOf, tag} from "./kit.js";

const STATE = {done: ["answered", "ok"], running: ["answering", "brand"], queued: ["waiting", "brand"], failed: ["failed", "err"], killed: ["stopped", ""], timeout: ["took too long", "warn"]};

class SessionsPage {
    constructor(gw) {
        Object.assign(this, {gw, archived: false, text: "", limit: 100});
        this.search = h("input", {type: "search", placeholder: "Search name or key", ariaLabel: "Search conversations", oninput: () => {
            this.text = this.search.value.trim();
            clearTimeout(this.timer);
            this.timer = setTimeout(() => this.load(), 200);
        }});
        this.box = h("label", {class: "row"}, h("input", {type: "checkbox", onchange: (e) => {
            this.archived = e.target.checked;
            this.load();
        }}), "Archived");
        this.body = h("div", {});
    }

    show(el) {
        put(el, h("div", {class: "page"}, head("Sessions", "Each conversation the gateway remembers, from every channel.", this.search, this.box), this.body));
        this.off = this.gw.on("sessions.changed", () => {
            clearTimeout(this.timer);
            this.timer = setTimeout(() => this.load(), 300);
        });
        this.onState = () => this.gw.state === "ready" && this.load();
        this.gw.addEventListener("state", this.onState);
        if (this.gw.has("sessions.subscribe")) this.gw.ask("sessions.subscribe", {}).catch(() => {});
        this.load();
    }

    leave() {
        this.off();
        clearTimeout(this.timer);
        this.gw.removeEventListener("state", this.onState);
    }

    async load() {
        const params = {limit: this.limit, includeDerivedTitles: true, includeLastMessage: true, includeGlobal: true, archived: this.archived};
        if (this.text) params.search = this.text;
        try {
            const got = await this.gw.ask("sessions.list", params);
            put(this.body, got.sessions.length ? this.table(got.sessions) : none(this.archived ? "Nothing archived" : this.text ? "Nothing found" : "No conversations yet", this.text ? `for “${this.text}”` : ""),
                got.hasMore ? h("p", {class: "center"}, h("button", {type: "button", class: "button", onclick: () => { this.limit += 100; this.load(); }}, `Show more of ${got.totalCount}`)) : null);
        } catch (e) {
            if (e.code !== "LOST") put(this.body, h("p", {class: "notice err", role: "alert"}, errorText(e)));
        }
    }

    table(rows) {
        return tableOf(rows, [
            ["Conversation", (s) => h("div", {}, h("a", {class: "cell-title", href: `#/chat/${encodeURIComponent(s.key)}`}, titleOf(s)), h("span", {class: "cell-sub"}, s.lastMessagePreview || s.key))],
            ["State", (s) => (running(s) ? tag("answering", "brand") : tag(...(STATE[s.status] || ["new", ""])))],
            ["From", (s) => s.channel || s.kind || "direct"],
            ["Model", (s) => h("span", {class: "mono"}, s.model || "")],
            ["Tokens", (s) => h("span", {class: "num"}, count((s.inputTokens || 0) + (s.outputTokens || 0))), "right"],
            ["Last", (s) => h("time", {title: s.updatedAt ? dateTime(s.updatedAt) : ""}, s.updatedAt ? ago(s.updatedAt) : "never")],
            ["", (s) => iconButton("more", `More for ${titleOf(s)}`, (e) => this.more(s, e.currentTarget), {"aria-haspopup": "menu"}), "acts-cell"],
        ], "Conversations");
    }

    more(s, button) {
        const act = (method, params, done) => async () => {
            try {
                await this.gw.ask(method, params);
                toast(done);
                this.load();
            } catch (e) {
                toast(errorText(e), "err");
            }
        };
        menu(button, [
            ["Open", "chat", () => { location.hash = `#/chat/${encodeURIComponent(s.key)}`; }],
            ["Rename", "edit", async () => {
                const a = await ask({title: "Rename", fields: [{name: "label", label: "Name (empty: the gateway chooses)", value: s.label || "", required: false, max: 120}], ok: "Rename"});
                if (a) await act("sessions.patch", {key: s.key, label: a.label.trim() || null}, "Renamed.")();
            }],
            !s.isMain && [s.archived ? "Bring back" : "Archive", "archive", act("sessions.patch", {key: s.key, archived: !s.archived, expectedSessionId: s.sessionId}, s.archived ? "It is back." : "Archived.")],
            this.gw.may("admin") && this.gw.has("sessions.compact") && ["Summarise the older part", "activity", act("sessions.compact", {key: s.key}, "Summarised.")],
            !s.isMain && this.gw.may("admin") && ["Delete", "trash", async () => {
                if (await ask({title: "Delete this conversation?", body: `“${titleOf(s)}” and its messages will be gone.`, ok: "Delete", danger: true})) await act("sessions.delete", {key: s.key}, "Deleted.")();
            }, true],
        ]);
    }
}

export default (gw) => new SessionsPage(gw);
