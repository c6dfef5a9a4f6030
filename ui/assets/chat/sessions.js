/*
 * chat/sessions.js - the list of conversations beside the chat: search, what runs, what is unread, what one can do
 * with one. It listens to sessions.changed and reads the list again when that does not say enough.
 */
import {ago, ask, errorText, h, icon, iconButton, menu, put, toast} from "../lib/dom.js";

export const titleOf = (s) => s.label || (s.isMain ? "Main" : "") || s.derivedTitle || s.displayName || s.key.split(":").slice(2).join(":") || s.key;
export const running = (s) => s.status === "running" || s.status === "queued";

export class Sessions extends EventTarget {
    constructor(gw) {
        super();
        Object.assign(this, {gw, rows: new Map(), open: "", text: "", archived: false});
        gw.on("sessions.changed", (p) => this.changed(p));
        this.search = h("input", {type: "search", placeholder: "Search", ariaLabel: "Search conversations", oninput: () => {
            this.text = this.search.value.trim();
            clearTimeout(this.timer);
            this.timer = setTimeout(() => this.load(), 150);
        }});
        this.list = h("div", {class: "list"});
        this.node = h("aside", {class: "sessions", id: "sessions", ariaLabel: "Conversations"},
            h("div", {class: "sessions-head"}, h("h2", {}, "Conversations"), iconButton("plus", "New conversation", () => this.create()),
              iconButton("close", "Close this list", () => document.body.classList.remove("drawer"), {class: "icon-button drawer-close"})),
            h("div", {class: "search"}, icon("search", 18), this.search), this.list);
    }

    async load() {
        if (!this.gw.has("sessions.list")) return;
        const asked = this.text;
        try {
            const params = {limit: 200, includeDerivedTitles: true, includeLastMessage: true, includeGlobal: true};
            if (asked) params.search = asked;
            if (!this.subscribed && this.gw.has("sessions.subscribe")) {
                this.subscribed = true;
                this.gw.ask("sessions.subscribe", {}).catch(() => { this.subscribed = false; });
            }
            const got = await this.gw.ask("sessions.list", params);
            if (asked !== this.text) return;
            this.rows = new Map(got.sessions.map((s) => [s.key, s]));
            this.seen();
            this.draw();
        } catch (e) {
            if (e.code !== "LOST") put(this.list, h("p", {class: "soft pad"}, errorText(e)));
        }
    }

    changed(p) {
        const key = p.session?.key || p.sessionKey, row = this.rows.get(key);
        if (p.reason === "delete") {
            this.rows.delete(key);
        } else if (row && p.session) {
            const known = {derivedTitle: row.derivedTitle, lastMessagePreview: row.lastMessagePreview};
            this.rows.set(key, {...row, ...p.session, derivedTitle: p.session.derivedTitle || known.derivedTitle,
                                lastMessagePreview: p.session.lastMessagePreview || known.lastMessagePreview});
        }
        this.draw();
        clearTimeout(this.later);
        this.later = setTimeout(() => this.load(), 400);
    }

    /* The one that is looked at: no longer unread. The gateway keeps that, for every client. */
    look(key) {
        this.open = key;
        this.draw();
        if (!this.read) this.read = () => !document.hidden && this.seen();
        document.addEventListener("visibilitychange", this.read);
        this.seen();
    }

    seen() {
        const row = this.rows.get(this.open);
        if (!row?.unread || document.hidden || this.gw.state !== "ready" || !this.gw.has("sessions.patch")) return;
        row.unread = false;
        this.gw.ask("sessions.patch", {key: row.key, unread: false}).catch(() => {});
    }

    /* An answer came while this tab was in the background: the gateway thought somebody looked. */
    missed(key) {
        if (document.hidden && this.rows.has(key) && this.gw.has("sessions.patch")) this.gw.ask("sessions.patch", {key, unread: true}).catch(() => {});
    }

    leave() {
        document.removeEventListener("visibilitychange", this.read);
        this.open = "";
    }

    draw() {
        const rows = [...this.rows.values()].filter((s) => !s.archived).sort((a, b) => (b.updatedAt || 0) - (a.updatedAt || 0));
        const today = new Date().setHours(0, 0, 0, 0);
        const groups = [["Pinned", (s) => s.pinned], ["Today", (s) => (s.updatedAt || 0) >= today], ["Yesterday", (s) => (s.updatedAt || 0) >= today - 864e5], ["Earlier", () => true]];
        const left = new Set(rows), out = [];
        for (const [name, fits] of groups) {
            const here = rows.filter((s) => left.has(s) && fits(s));
            here.forEach((s) => left.delete(s));
            if (here.length) out.push(h("h3", {}, name), h("ul", {}, here.map((s) => this.item(s))));
        }
        const focus = document.activeElement?.closest?.(".sessions li")?.dataset.key;
        put(this.list, out.length ? out : h("p", {class: "soft pad"}, this.text ? `Nothing found for “${this.text}”.` : "No conversations yet. Write the first message."));
        if (focus) this.list.querySelector(`li[data-key="${CSS.escape(focus)}"] a`)?.focus();
        this.dispatchEvent(new Event("change"));
    }

    item(s) {
        const unread = s.unread && (s.key !== this.open || document.hidden), run = running(s);
        return h("li", {dataset: {key: s.key}, class: (s.key === this.open ? "on" : "") + (unread ? " unread" : "")},
            h("a", {href: `#/chat/${encodeURIComponent(s.key)}`, "aria-current": s.key === this.open ? "true" : null, onclick: () => document.body.classList.remove("drawer")},
                h("span", {class: "title"}, s.pinned && icon("pin", 14), titleOf(s)), h("time", {}, s.updatedAt ? ago(s.updatedAt).replace(" ago", "") : ""),
                h("span", {class: "preview"}, s.status === "failed" ? "Failed: " : "", s.lastMessagePreview || "No messages yet"),
                run ? h("span", {class: "ring", role: "img", ariaLabel: "answering now"}) : unread ? h("span", {class: "dot", role: "img", ariaLabel: "unread"}) : null),
            iconButton("more", `More for ${titleOf(s)}`, (e) => this.more(s, e.currentTarget), {class: "icon-button small", "aria-haspopup": "menu"}));
    }

    more(s, button) {
        const change = (patch, done) => async () => {
            try {
                await this.gw.ask("sessions.patch", {key: s.key, ...patch});
                if (done) toast(done);
                this.load();
            } catch (e) {
                toast(errorText(e), "err");
            }
        };
        menu(button, [
            ["Rename", "edit", () => this.rename(s)],
            s.pinned ? ["Unpin", "pin", change({pinned: false})] : ["Pin", "pin", change({pinned: true})],
            s.key !== this.open && (s.unread ? ["Mark as read", "check", change({unread: false})] : ["Mark as unread", "chat", change({unread: true})]),
            !s.isMain && ["Archive", "archive", change({archived: true, expectedSessionId: s.sessionId}, "Archived. Sessions has it still.")],
            this.gw.may("admin") && ["Start afresh", "retry", () => this.reset(s)],
            !s.isMain && this.gw.may("admin") && ["Delete", "trash", () => this.remove(s), true],
        ]);
    }

    async rename(s) {
        const a = await ask({title: "Rename this conversation", fields: [{name: "label", label: "Name (empty: the gateway chooses)", value: s.label || "", required: false, max: 120}], ok: "Rename"});
        if (!a) return;
        try {
            await this.gw.ask("sessions.patch", {key: s.key, label: a.label.trim() || null});
            this.load();
        } catch (e) {
            toast(errorText(e), "err");
        }
    }

    async reset(s) {
        if (!await ask({title: "Start afresh?", body: `“${titleOf(s)}” is emptied; the model forgets what was said in it.`, ok: "Start afresh", danger: true})) return;
        this.gw.ask("sessions.reset", {key: s.key, reason: "reset"}).then(() => toast("Started afresh."), (e) => toast(errorText(e), "err"));
    }

    async remove(s) {
        if (!await ask({title: "Delete this conversation?", body: `“${titleOf(s)}” and all its messages will be gone.`, ok: "Delete", danger: true})) return;
        try {
            await this.gw.ask("sessions.delete", {key: s.key});
            this.rows.delete(s.key);
            this.draw();
            if (this.open === s.key) location.hash = "#/chat";
        } catch (e) {
            toast(errorText(e), "err");
        }
    }

    async create() {
        document.body.classList.remove("drawer");
        try {
            const made = await this.gw.ask("sessions.create", {});
            location.hash = `#/chat/${encodeURIComponent(made.key)}`;
            this.load();
        } catch (e) {
            toast(errorText(e), "err");
        }
    }
}
