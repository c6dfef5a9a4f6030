/*
 * chat/composer.js - the box one writes in: Enter sends, "/" completes commands, files by drop, paste or button.
 */
import {bytes, h, icon, iconButton, put, speak, toast} from "../lib/dom.js";

const FILES_MAX = 10;

function base64(file) {
    return new Promise((resolve, reject) => {
        const r = new FileReader();
        r.onload = () => resolve(String(r.result).split(",", 2)[1] || "");
        r.onerror = () => reject(r.error);
        r.readAsDataURL(file);
    });
}

export class Composer {
    /* on: {send(text, files, from: the message a copy ends before, or null), stop(), commands(): [CommandEntry]} */
    constructor(gw, on) {
        Object.assign(this, {gw, on, files: [], choice: -1, editing: null});
        this.input = h("textarea", {id: "message", rows: 1, placeholder: "Write a message", ariaLabel: "Message", autocomplete: "off",
                                    "aria-autocomplete": "list", "aria-controls": "commands", enterKeyHint: "send",
                                    oninput: () => this.typed(), onkeydown: (e) => this.key(e), onpaste: (e) => this.paste(e)});
        this.pick = h("input", {type: "file", multiple: true, class: "sr", tabIndex: -1, ariaLabel: "Files to attach", onchange: () => {
            this.attach([...this.pick.files]);
            this.pick.value = "";
        }});
        this.list = h("ul", {id: "commands", class: "commands", role: "listbox", ariaLabel: "Commands", hidden: true});
        this.tray = h("div", {class: "tray", hidden: true});
        this.copy = h("input", {type: "checkbox"});
        this.copyBox = h("label", {class: "copy"}, this.copy, "Go on in a copy from there, as if the rest had not been said");
        this.note = h("div", {class: "editing", hidden: true}, h("span", {}, "Editing. It is sent as a new message."), this.copyBox,
                      h("button", {type: "button", class: "link", onclick: () => this.cancelEdit()}, "Cancel"));
        this.button = h("button", {type: "submit", class: "send", ariaLabel: "Send"}, icon("send", 20));
        this.node = h("form", {class: "composer", onsubmit: (e) => {
            e.preventDefault();
            this.submit();
        }}, this.list, this.note, this.tray,
        h("div", {class: "box"}, this.input, iconButton("clip", "Attach files", () => this.pick.click(), {class: "icon-button clip"}), this.button), this.pick,
        h("p", {class: "keys", "aria-hidden": "true"}, h("kbd", {}, "Enter"), " sends  ", h("kbd", {}, "Shift Enter"), " new line  ", h("kbd", {}, "/"), " commands"));
    }

    /* A running turn: the button stops it while the box is empty. */
    busy(busy) {
        this.running = busy;
        this.face();
    }

    face() {
        const stop = this.running && !this.input.value.trim() && !this.files.length;
        if (this.button.stop === stop) return;
        this.button.stop = stop;
        this.button.classList.toggle("stop", stop);
        this.button.ariaLabel = this.button.title = stop ? "Stop the answer" : "Send";
        put(this.button, icon(stop ? "stop" : "send", 20));
    }

    typed() {
        this.input.style.setProperty("height", "auto");
        this.input.style.setProperty("height", `${Math.min(this.input.scrollHeight, innerHeight * 0.4)}px`);
        this.face();
        this.complete();
    }

    set(text) {
        this.input.value = text;
        this.typed();
    }

    edit(message, text, canCopy) {
        this.editing = message;
        this.note.hidden = false;
        this.copyBox.hidden = !canCopy;
        this.copy.checked = false;
        this.set(text);
        this.input.focus();
    }

    cancelEdit() {
        this.editing = null;
        this.note.hidden = true;
        this.set("");
        this.input.focus();
    }

    submit() {
        if (this.button.stop) return void this.on.stop();
        const text = this.input.value.trim();
        if (!text && !this.files.length) return;
        const files = this.files, from = this.copy.checked ? this.editing : null;
        this.files = [];
        this.editing = null;
        this.copy.checked = false;
        this.note.hidden = true;
        this.showFiles();
        this.set("");
        this.hide();
        this.on.send(text, files, from);
    }

    key(e) {
        if (e.isComposing) return;
        const open = !this.list.hidden;
        if (open && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
            e.preventDefault();
            this.choose(this.choice + (e.key === "ArrowDown" ? 1 : -1));
        } else if (open && (e.key === "Tab" || (e.key === "Enter" && !e.shiftKey)) && this.offered[this.choice]) {
            const c = this.offered[this.choice], exact = this.input.value.trim() === c.text;
            if (e.key === "Enter" && exact && !c.args) {
                e.preventDefault();
                this.submit();
            } else if (!exact || e.key === "Enter") {
                e.preventDefault();
                this.accept(c);
            }
        } else if (e.key === "Escape") {
            if (open) this.hide();
            else if (this.editing) this.cancelEdit();
            else if (this.running) this.on.stop();
        } else if (e.key === "Enter" && !e.shiftKey) {
            e.preventDefault();
            this.submit();
        } else if (e.key === "ArrowUp" && !this.input.value) {
            this.on.last?.();
        }
    }

    /* ---- commands ---- */

    complete() {
        const m = /^\/(\S*)$/.exec(this.input.value);
        if (!m) return this.hide();
        const all = this.on.commands().flatMap((c) => {
            const names = (c.textAliases?.length ? c.textAliases : ["/" + c.name]);
            return {text: names[0], names, what: c.description, args: c.acceptsArgs};
        });
        this.offered = all.filter((c) => c.names.some((n) => n.startsWith("/" + m[1].toLowerCase()))).slice(0, 12);
        if (!this.offered.length) return this.hide();
        put(this.list, this.offered.map((c, i) => h("li", {role: "option", id: `command-${i}`, onmousedown: (e) => {
            e.preventDefault();
            this.accept(c);
        }}, h("b", {}, c.text), h("span", {}, c.what || ""))));
        this.list.hidden = false;
        this.choose(0, true);
    }

    choose(i, quiet) {
        this.choice = (i + this.offered.length) % this.offered.length;
        [...this.list.children].forEach((li, n) => li.setAttribute("aria-selected", String(n === this.choice)));
        this.input.setAttribute("aria-activedescendant", `command-${this.choice}`);
        this.list.children[this.choice].scrollIntoView({block: "nearest"});
        if (!quiet) speak(`${this.offered[this.choice].text}: ${this.offered[this.choice].what}`);
    }

    accept(c) {
        this.set(c.text + (c.args ? " " : ""));
        this.hide();
        this.input.focus();
    }

    hide() {
        this.list.hidden = true;
        this.choice = -1;
        this.offered = [];
        this.input.removeAttribute("aria-activedescendant");
    }

    /* ---- files ---- */

    paste(e) {
        const files = [...(e.clipboardData?.files || [])];
        if (!files.length) return;
        e.preventDefault();
        this.attach(files);
    }

    async attach(files) {
        const limit = this.gw.hello?.policy?.attachments || {};
        for (const f of files) {
            const image = /^image\/(png|jpeg|gif|webp)$/.test(f.type), max = image ? limit.maxImageBytes : limit.maxBytes;
            if (this.files.length >= FILES_MAX) {
                toast(`At most ${FILES_MAX} files go with one message.`, "err");
                break;
            }
            if (max && f.size > max) {
                toast(`${f.name} has ${bytes(f.size)}; the gateway takes ${bytes(max)}.`, "err");
                continue;
            }
            try {
                this.files.push({name: f.name || "pasted", type: f.type, size: f.size, base64: await base64(f), url: image ? URL.createObjectURL(f) : null});
            } catch {
                toast(`${f.name} could not be read.`, "err");
            }
        }
        this.showFiles();
        this.input.focus();
    }

    showFiles() {
        this.tray.hidden = !this.files.length;
        put(this.tray, this.files.map((f) => h("div", {class: "chip"}, f.url ? h("img", {src: f.url, alt: ""}) : icon("file", 18), h("span", {}, f.name), h("small", {}, bytes(f.size)),
            iconButton("close", `Remove ${f.name}`, () => {
                this.files = this.files.filter((x) => x !== f);
                this.showFiles();
            }))));
        this.face();
    }
}
