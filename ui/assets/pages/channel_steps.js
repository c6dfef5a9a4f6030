/*
 * pages/channel_steps.js - the third of the first steps: a chat platform's token, whether the platform takes it, and the first
 * person who writes. A token leaves this page with the save and is nowhere in it afterwards.
 */
import {errorText, h, icon, put, toast} from "../lib/dom.js";

const EVERY = 2000; /* milliseconds between two looks at an account that was just set up */

/* fields: [name, label, more]; section(f): what goes into the file below channels.<id>. */
const PLATFORMS = [
    {id: "telegram", name: "Telegram", fields: [["botToken", "Bot token", {type: "password", autocomplete: "new-password", required: true, pattern: "\\d{5,20}:[A-Za-z0-9_\\-]{20,80}", title: "123456789:AAE…, as BotFather gave it"}]],
     how: ["In Telegram, write ", h("code", {}, "/newbot"), " to ", h("b", {}, "@BotFather"), ". It asks for a name and answers with a token."],
     section: (f) => ({enabled: true, botToken: f.botToken.trim()}), then: "Now write to your bot in Telegram. It answers with a code, and you are asked here."},
    {id: "irc", name: "IRC", fields: [["host", "Server", {value: "irc.libera.chat", required: true}], ["nick", "Nick", {required: true, maxLength: 30}], ["room", "Channel", {placeholder: "#mine", pattern: "[#&+!].{1,49}"}]],
     how: ["A server, a free nick, and a channel to sit in. The connection is encrypted."],
     section: (f) => ({enabled: true, host: f.host.trim(), nick: f.nick.trim(), ...(f.room ? {channels: [f.room.trim()]} : {})}), then: "Now write to it, in private or by its name in the channel. You are asked here before it answers a stranger."},
];

export function firstChannel(gw, writable, changed) {
    const node = h("div", {}), self = {node, done: false, leave: () => clearTimeout(timer)};
    let timer, picked = null, was = "";

    const account = (s, id) => (s?.channelAccounts?.[id] || [])[0];

    async function save(e, p, bad) {
        e.preventDefault();
        const f = Object.fromEntries(new FormData(e.target));
        bad.hidden = true;
        try {
            const {hash, parsed} = await gw.ask("config.get"), lists = Array.isArray(parsed?.channels?.[p.id]?.channels) ? [`channels.${p.id}.channels`] : [];
            await gw.ask("config.patch", {raw: JSON.stringify({channels: {[p.id]: p.section(f)}}), baseHash: hash, replacePaths: lists});
            e.target.reset();
            picked = p;
            was = "";
            put(node, h("p", {class: "work"}, h("span", {class: "dots"}, h("i"), h("i"), h("i")), `Saved. ${p.name} is asked whether it takes it…`));
            watch();
        } catch (err) {
            bad.hidden = false;
            put(bad, icon("warn", 18), errorText(err));
        }
    }

    function form(p) {
        const bad = h("p", {class: "bad", role: "alert", hidden: true});
        return [h("p", {class: "soft"}, p.how), h("form", {onsubmit: (e) => save(e, p, bad)},
            p.fields.map(([name, label, more]) => h("label", {class: "field"}, h("span", {}, label), h("input", {name, spellcheck: false, autocomplete: "off", ...more}))), bad,
            h("div", {class: "row end"}, h("button", {type: "submit", class: "button primary"}, "Save and connect")))];
    }

    function choose(p) {
        picked = p;
        put(node, h("div", {class: "seg wide", role: "group", ariaLabel: "Platform"}, PLATFORMS.map((x) => h("button", {type: "button", "aria-pressed": String(x === p), onclick: () => choose(x)}, x.name))), form(p));
    }

    const ready = (p, a) => [h("p", {}, h("span", {class: "dot ok"}), ` ${p.name} is connected`, a.name || a.botUsername || a.probe?.bot?.username ? [" as ", h("b", {}, a.name || `@${a.botUsername || a.probe.bot.username}`)] : "", "."),
        h("p", {class: "soft"}, p.then), h("p", {}, h("a", {class: "button small", href: "#/channels"}, "All channels"))];

    const wrong = (p, a) => [h("p", {class: "notice err", role: "alert"}, h("b", {}, `${p.name} says no. `), a.lastError), h("p", {}, h("button", {type: "button", class: "button small", onclick: () => {
        clearTimeout(timer);
        choose(p);
    }}, "Change it"), " ", h("a", {class: "button small", href: "#/logs"}, "Logs"))];

    const asking = (list) => list.map((r) => h("div", {class: "notice ask row"}, h("span", {class: "grow"}, h("b", {}, r.senderName || r.senderId), " asks to write to your agent. Is it you?"),
        h("button", {type: "button", class: "button small primary", onclick: async () => {
            try {
                await gw.ask("channels.pairing.approve", {channel: r.channel, accountId: r.accountId, requestId: r.requestId, notify: true});
                toast("Let in. Write to it again: now it answers.");
            } catch (e) {
                toast(errorText(e), "err");
            }
            watch();
        }}, "Let in")));

    /* Looks until the account is well and the first person was let in, for as long as this page is open. */
    async function watch() {
        clearTimeout(timer);
        try {
            const [s, pairing] = await Promise.all([gw.ask("channels.status", {probe: false}), gw.has("channels.pairing.list") ? gw.ask("channels.pairing.list", {}).catch(() => null) : null]);
            const a = account(s, picked.id), people = (pairing?.requests || []).filter((r) => r.channel === picked.id);
            const now = a?.connected ? "ready" : a?.lastError ? "wrong" : "wait", mark = `${now} ${a?.lastError || ""} ${people.map((r) => r.requestId)}`;
            if (mark !== was && now !== "wait") put(node, now === "ready" ? ready(picked, a) : wrong(picked, a), asking(people));
            was = mark;
            if (now === "ready" && !self.done) {
                self.done = true;
                changed();
            }
        } catch { /* the connection comes back, and so does this */ }
        timer = setTimeout(watch, EVERY);
    }

    async function begin() {
        if (!gw.has("channels.status")) {
            put(node, h("p", {class: "soft"}, "This gateway does not offer channels yet. This page, ", h("a", {href: "chat"}, "/chat"), " and ", h("code", {}, "openclawctl chat"), " work."));
            return;
        }
        const s = await gw.ask("channels.status", {probe: false}).catch(() => null), there = PLATFORMS.find((p) => account(s, p.id));
        if (there) {
            picked = there;
            watch();
        } else if (!writable) put(node, h("p", {class: "soft"}, "Reach your agent from Telegram or IRC: docs/channels.md has what goes into the configuration file."));
        else choose(PLATFORMS[0]);
    }
    put(node, h("p", {class: "soft"}, "Loading…"));
    begin();
    return self;
}
