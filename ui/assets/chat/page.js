/*
 * chat/page.js - the chat: a conversation, the box under it, the list of conversations beside it.
 */
import {errorText, h, icon, iconButton, MARK, menu, put, speak, toast} from "../lib/dom.js";
import {Composer} from "./composer.js";
import {Sessions, titleOf} from "./sessions.js";
import {Conversation} from "./store.js";
import {dayNode, messageNode, runNode} from "./view.js";

const NEAR = 90; /* pixels from the end that still count as reading the newest */

const drafts = new Map();

class ChatPage {
    constructor(gw, {only}) {
        Object.assign(this, {gw, only, stick: true});
        this.sessions = new Sessions(gw);
        this.composer = new Composer(gw, {send: (t, f, from) => (from ? this.fork(from, t, f) : this.c.send(t, f)), stop: () => this.stop(), commands: () => this.c?.commands || [], last: () => this.editLast()});
        this.rows = h("div", {class: "rows", role: "log", ariaLabel: "Messages", "aria-live": "off"});
        this.top = h("div", {class: "top"});
        this.scroll = h("div", {class: "scroll", tabIndex: 0, role: "region", ariaLabel: "Conversation", onscroll: () => this.scrolled()}, this.top, this.rows);
        this.jump = h("button", {type: "button", class: "jump", hidden: true, onclick: () => this.toEnd()}, icon("down", 18), "Newest");
        this.title = h("h1", {});
        this.model = h("button", {type: "button", class: "model", "aria-haspopup": "menu", onclick: (e) => this.models(e.currentTarget)});
        this.head = h("header", {class: "chat-head"}, iconButton("menu", "Conversations", () => document.body.classList.toggle("drawer"), {class: "icon-button drawer-open"}),
                      this.title, h("span", {class: "grow"}), this.model);
        this.thread = h("section", {class: "thread", ariaLabel: "Chat"}, this.composer.node, this.head, this.scroll, this.jump);
        this.onState = () => (this.gw.state === "ready" ? this.back() : this.soon());
        this.onGap = () => this.c?.load();
        this.sessionsChanged = () => this.heading();
    }

    show(el, arg) {
        put(el, this.thread, this.sessions.node);
        this.gw.addEventListener("state", this.onState);
        this.gw.addEventListener("gap", this.onGap);
        this.sessions.addEventListener("change", this.sessionsChanged);
        this.dropZone(el);
        this.seen = new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && this.older(), {root: this.scroll, rootMargin: "600px 0px 0px 0px"});
        this.seen.observe(this.top);
        this.clock = setInterval(() => this.c?.busy && this.draw(), 1000);
        this.sessions.load();
        this.move(arg);
        if (matchMedia("(hover: hover)").matches) this.composer.input.focus();
    }

    leave() {
        this.keepDraft();
        this.gw.removeEventListener("state", this.onState);
        this.gw.removeEventListener("gap", this.onGap);
        this.seen.disconnect();
        clearInterval(this.clock);
        this.sessions.leave();
        this.c?.close();
        document.body.classList.remove("drawer");
    }

    keepDraft() {
        if (this.c) drafts.set(this.c.key, this.composer.input.value);
    }

    /* To another conversation. */
    move(arg) {
        const key = arg || this.gw.hello.snapshot?.sessionDefaults?.mainSessionKey || "agent:main:main";
        if (this.c?.key === key) return;
        this.keepDraft();
        this.c?.close();
        this.c = new Conversation(this.gw, key);
        this.stick = true;
        this.rows.replaceChildren();
        for (const [name, f] of [["change", () => this.soon()], ["sent", () => { this.stick = true; this.draw(); }], ["finished", () => { speak("The answer is complete."); this.sessions.missed(key); this.soon(); }],
                                 ["failed", () => { speak("No answer came."); this.soon(); }], ["note", (e) => toast(e.detail)]])
            this.c.addEventListener(name, f);
        this.composer.set(drafts.get(key) || "");
        this.sessions.look(key);
        this.c.load();
        this.heading();
        if (this.next?.key === key) this.c.send(this.next.text, this.next.files);
        this.next = null;
    }

    back() {
        this.sessions.subscribed = false;
        this.sessions.load();
        this.c.load();
    }

    soon() {
        if (this.frame) return;
        this.frame = requestAnimationFrame(() => {
            this.frame = 0;
            this.draw();
        });
    }

    draw() {
        const c = this.c, act = {edit: (m) => this.edit(m), resend: (m) => this.resend(m), retry: (m) => this.retry(m)};
        const want = [];
        let day = "";
        for (const m of c.messages) {
            const d = new Date(m.at).toDateString();
            if (d !== day && m.at) {
                want.push([...this.rows.children].find((n) => n.day === d) || dayNode(m.at));
                day = d;
            }
            want.push(messageNode(m, c, act));
        }
        for (const r of c.runs.values()) want.push(runNode(r, this.gw.state !== "ready"));
        if (!want.length) want.push(this.empty());
        const anchor = this.stick ? null : [...this.rows.children].find((n) => n.offsetTop + n.offsetHeight > this.scroll.scrollTop);
        const before = anchor?.offsetTop;
        want.forEach((n, i) => {
            if (this.rows.children[i] !== n) this.rows.insertBefore(n, this.rows.children[i] || null);
        });
        while (this.rows.childElementCount > want.length) this.rows.lastElementChild.remove();
        put(this.top, c.loading && c.messages.length ? h("p", {class: "soft center"}, "Loading…") : null);
        if (this.stick) this.scroll.scrollTop = this.scroll.scrollHeight;
        else if (anchor?.isConnected) this.scroll.scrollTop += anchor.offsetTop - before;
        this.composer.busy(c.busy);
        this.scrolled();
    }

    empty() {
        const c = this.c, kind = c.failure && c.failure.code !== "LOST" ? "failure" : c.loaded ? "empty" : "loading";
        if (this.blank?.kind === kind) return this.blank;
        const demo = this.gw.hello.snapshot?.sessionDefaults?.modelConfigured === false;
        this.blank = kind === "failure" ? h("div", {class: "hello"}, h("h2", {}, "This conversation cannot be read"), h("p", {}, errorText(c.failure))) :
            kind === "loading" ? h("div", {class: "hello"}, h("p", {class: "soft"}, "Loading…")) :
                h("div", {class: "hello"}, h("img", {src: MARK, alt: "", width: 56, height: 56}), h("h2", {}, "What can I do for you?"),
                    h("p", {class: "soft"}, demo ? "No model is set up yet: the built-in demo answers." : "Messages stay on your gateway. They are saved before they are answered."),
                    demo && this.gw.may("admin") && !this.only ? h("a", {class: "button", href: "#/start"}, "Set up a model") : null);
        this.blank.kind = kind;
        return this.blank;
    }

    heading() {
        const row = this.sessions.rows.get(this.c?.key);
        const info = this.c?.info || row;
        this.title.textContent = row ? titleOf(row) : this.c?.key.endsWith(":main") ? "Main" : "New conversation";
        const name = info?.model ? `${info.modelProvider || ""}/${info.model}` : "";
        put(this.model, h("span", {class: "sr"}, "Model: "), h("span", {class: "name"}, name || "Model"), icon("down", 16));
        this.model.hidden = !this.gw.has("models.list", "sessions.patch") || this.only;
    }

    async models(button) {
        try {
            const {models} = await this.gw.ask("models.list", {});
            menu(button, models.map((m) => [`${m.provider}/${m.id}`, this.c.info?.model === m.id && this.c.info?.modelProvider === m.provider ? "check" : "spark", async () => {
                try {
                    await this.gw.ask("sessions.patch", {key: this.c.key, model: `${m.provider}/${m.id}`});
                    await this.sessions.load();
                    this.c.info = {...this.c.info, model: m.id, modelProvider: m.provider};
                    this.heading();
                    toast(`This conversation now asks ${m.provider}/${m.id}.`);
                } catch (e) {
                    toast(errorText(e), "err");
                }
            }]));
        } catch (e) {
            toast(errorText(e), "err");
        }
    }

    /* ---- scrolling ---- */

    scrolled() {
        const rest = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight;
        this.stick = rest < NEAR;
        this.jump.hidden = this.stick;
    }

    toEnd() {
        this.stick = true;
        this.scroll.scrollTo({top: this.scroll.scrollHeight, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
        this.composer.input.focus();
    }

    async older() {
        if (!this.c?.loaded || !this.c.more) return;
        this.stick = false;
        await this.c.older();
        this.draw();
        this.seen.unobserve(this.top); /* once more if it is still in sight */
        this.seen.observe(this.top);
    }

    /* ---- acts ---- */

    async stop() {
        try {
            await this.c.stop();
        } catch (e) {
            toast(`It could not be stopped: ${errorText(e)}`, "err");
        }
    }

    edit(m) {
        this.composer.edit(m, m.parts.filter((p) => p.type === "text").map((p) => p.text).join("\n\n"), m.seq && m.state !== "failed" && this.gw.has("sessions.fork"));
    }

    /* What was said before m as a conversation of its own, and there the new text; the old one stays as it is. */
    async fork(m, text, files) {
        try {
            const {sessionKey} = await this.gw.ask("sessions.fork", {sessionKey: this.c.key, entryId: m.id});
            drafts.set(this.c.key, "");
            this.next = {key: sessionKey, text, files};
            location.hash = `#/chat/${encodeURIComponent(sessionKey)}`;
            this.sessions.load();
        } catch (e) {
            this.composer.edit(m, text, true);
            toast(`No copy was made: ${errorText(e)}`, "err");
        }
    }

    editLast() {
        const m = this.c.messages.findLast((x) => x.role === "user");
        if (m) this.edit(m);
    }

    resend(m) {
        this.c.remove(m);
        this.c.send(m.parts.map((p) => p.text || "").join("\n\n"), m.files || []);
    }

    /* The message that led to this answer, once more. */
    retry(answer) {
        const i = this.c.messages.indexOf(answer);
        const m = this.c.messages.slice(0, i < 0 ? undefined : i).findLast((x) => x.role === "user");
        if (m) this.c.send(m.parts.filter((p) => p.type === "text").map((p) => p.text).join("\n\n"), m.files || []);
    }

    dropZone(el) {
        let depth = 0;
        const over = (on) => this.thread.classList.toggle("drop", on);
        el.ondragenter = (e) => e.dataTransfer?.types.includes("Files") && (depth++, over(true));
        el.ondragleave = () => depth && --depth === 0 && over(false);
        el.ondragover = (e) => e.dataTransfer?.types.includes("Files") && e.preventDefault();
        el.ondrop = (e) => {
            depth = 0;
            over(false);
            if (!e.dataTransfer?.files.length) return;
            e.preventDefault();
            this.composer.attach([...e.dataTransfer.files]);
        };
    }
}

export default function chatPage(gw, options) {
    return new ChatPage(gw, options);
}
