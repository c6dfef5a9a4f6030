/*
 * shell.js - the frame around every page: rail, banner of the connection, addresses, and the doors before it
 * (token, approval of the device, why this browser cannot).
 * Addresses are "#/page/argument"; an unknown one says so.
 */
import {clock, h, icon, iconButton, MARK, menu, put, speak, toast} from "./lib/dom.js";
import {door} from "./door.js";

const chat = () => import("./chat/page.js");

/* Groups of the rail, and the pages behind them. needs: methods without which a page has nothing to show. */
export const GROUPS = [
    {id: "chat", name: "Chat", icon: "chat", pages: [{id: "chat", name: "Chat", load: chat, needs: ["chat.send", "chat.history"]}]},
    {id: "overview", name: "Overview", icon: "overview", pages: [{id: "overview", name: "Overview", load: () => import("./pages/overview.js"), needs: ["status"]}]},
    {id: "activity", name: "Activity", icon: "activity", pages: [
        {id: "sessions", name: "Sessions", load: () => import("./pages/sessions.js"), needs: ["sessions.list"]},
        {id: "usage", name: "Usage", load: () => import("./pages/usage.js"), needs: ["sessions.list"]},
        {id: "logs", name: "Logs", load: () => import("./pages/logs.js"), needs: ["logs.tail"]}]},
    {id: "links", name: "Connect", icon: "links", pages: [
        {id: "channels", name: "Channels", load: () => import("./pages/channels.js"), needs: ["channels.status"]},
        {id: "deliveries", name: "Deliveries", load: () => import("./pages/deliveries.js"), needs: []},
        {id: "devices", name: "Devices", load: () => import("./pages/devices.js"), needs: ["device.pair.list"]},
        {id: "approvals", name: "Approvals", load: () => import("./pages/approvals.js"), needs: ["exec.approval.list", "exec.approval.resolve"]}]},
    {id: "agents", name: "Agents", icon: "agents", pages: [
        {id: "agents", name: "Agents", load: () => import("./pages/agents.js"), needs: ["agents.list"]},
        {id: "models", name: "Models", load: () => import("./pages/models.js"), needs: ["models.list"]},
        {id: "tools", name: "Tools", load: () => import("./pages/tools.js"), needs: ["tools.catalog"]},
        {id: "skills", name: "Skills", load: () => import("./pages/skills.js"), needs: ["skills.status"]},
        {id: "cron", name: "Schedule", load: () => import("./pages/cron.js"), needs: ["cron.list"]}]},
    {id: "settings", name: "Settings", icon: "settings", pages: [
        {id: "config", name: "Configuration", load: () => import("./pages/config.js"), needs: ["config.get"]},
        {id: "start", name: "First steps", load: () => import("./pages/start.js"), needs: ["config.get"]}]},
];
const PAGES = new Map(GROUPS.flatMap((g) => g.pages.map((p) => [p.id, {...p, group: g}])));

export function go(path) {
    location.hash = "#/" + path;
}

function here(only) {
    const [page, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
    let arg = rest.join("/");
    try {
        arg = decodeURIComponent(arg);
    } catch { /* as it is */ }
    return {page: page || "chat", arg: only && page && page !== "chat" ? "" : arg, known: only ? !page || page === "chat" : !page || PAGES.has(page)};
}

const served = (gw, p) => gw.has(...p.needs);

function themeButton() {
    return iconButton("sun", "Light or dark", (e) => {
        const root = document.documentElement;
        const set = (theme) => () => {
            root.dataset.theme = theme;
            try {
                localStorage.setItem("theme", theme);
            } catch { /* for this visit only */ }
        };
        menu(e.currentTarget, [["Like the system", "device", set("")], ["Light", "sun", set("light")], ["Dark", "spark", set("dark")]]);
    }, {class: "icon-button theme"});
}

function rail(gw, place) {
    const current = PAGES.get(place.page)?.group.id;
    return h("nav", {class: "rail", ariaLabel: "Pages"},
        h("div", {class: "mark", ariaHidden: "true"}, h("img", {src: MARK, alt: "", width: 34, height: 34})),
        GROUPS.map((g) => {
            const open = g.pages.find((p) => served(gw, p)) || g.pages[0];
            return h("a", {href: `#/${open.id}`, class: g.id === current ? "on" : "", "aria-current": g.id === current ? "page" : null},
                     icon(g.icon, 22), h("span", {}, g.name));
        }), h("span", {class: "grow"}), themeButton());
}

function tabs(gw, place) {
    const g = PAGES.get(place.page)?.group;
    if (!g || g.pages.length < 2) return null;
    return h("nav", {class: "tabs", ariaLabel: g.name}, g.pages.map((p) =>
        h("a", {href: `#/${p.id}`, class: (p.id === place.page ? "on" : "") + (served(gw, p) ? "" : " off"), "aria-current": p.id === place.page ? "page" : null}, p.name)));
}

/* For addresses that lead nowhere and pages whose methods this gateway lacks. */
function plain(title, ...body) {
    return {show(el) {
        put(el, h("div", {class: "page"}, h("div", {class: "empty"}, h("h1", {}, title), body)));
    }};
}

const unknown = (place) => plain("Nothing lives at this address", h("p", {}, "There is no page called ", h("code", {}, place.page.slice(0, 60)), "."),
                                 h("p", {}, h("a", {class: "button primary", href: "#/chat"}, "Go to the chat")));

const unserved = (p) => plain(p.name, h("p", {}, `This gateway does not offer ${p.name.toLowerCase()} yet: it does not serve `,
    p.needs.map((m, i) => [i ? " and " : "", h("code", {}, m)]), "."), h("p", {class: "soft"}, "Everything else works without it."));

function banner(gw) {
    const el = h("div", {class: "banner", hidden: true, role: "status"});
    let ticking;
    const update = () => {
        const lost = gw.everReady && gw.state !== "ready";
        document.body.classList.toggle("stale", lost);
        el.hidden = !lost;
        clearInterval(ticking);
        if (!lost) return;
        const since = gw.heardAt;
        put(el, h("span", {class: "dot pulse"}), h("span", {}, h("strong", {}, "Connection lost. "), `What you see is from ${clock(since)} and may be out of date. Coming back…`),
            h("button", {type: "button", class: "button small", onclick: () => gw.open()}, "Try now"));
        speak("Connection lost. What you see may be out of date.");
    };
    gw.addEventListener("state", update);
    return el;
}

export function startShell(gw, {only}) {
    const app = document.getElementById("app"), body = h("div", {class: "stage"}), bar = banner(gw);
    let shown, entered = false, moved = false;

    async function route() {
        const place = here(only), p = PAGES.get(place.page);
        if (!entered) return;
        const same = shown && shown.page === place.page && shown.view.move;
        if (same) {
            shown.view.move(place.arg);
            return;
        }
        shown?.view.leave?.();
        const mine = shown = {page: place.page, view: {}};
        const main = h("main", {id: "main", tabIndex: -1, class: `main at-${place.page}`});
        put(app, only ? null : rail(gw, place), h("div", {class: "body"}, bar, place.known && !only ? tabs(gw, place) : null, main));
        app.className = only ? "frame only" : "frame";
        let view;
        if (!place.known) view = unknown(place);
        else if (!served(gw, p)) view = unserved(p);
        else {
            try {
                view = (await p.load()).default(gw, {only});
            } catch (e) {
                view = plain(p.name, h("p", {}, "This page could not be loaded: ", String(e.message || e)));
            }
        }
        if (shown !== mine) return;
        mine.view = view;
        if (moved && place.page !== "chat") main.focus({preventScroll: true}); /* who listens hears where they are */
        moved = true;
        document.title = `${place.known ? p.name : "Unknown address"} · OpenClaw`;
        view.show(main, place.arg);
    }

    gw.addEventListener("state", () => {
        if (gw.state === "ready" && !entered) {
            entered = true;
            if (!only && gw.hello.snapshot?.sessionDefaults?.modelConfigured === false && !location.hash.replace(/^#\/?/, "") && gw.may("admin")) location.hash = "#/start";
            route();
        } else if (["locked", "waiting", "refused"].includes(gw.state) || !entered) {
            if (entered) {
                shown?.view.leave?.();
                shown = null;
                entered = false;
            }
            app.className = "";
            document.body.classList.remove("stale");
            door(gw, app);
        }
    });
    addEventListener("hashchange", route);
    if (!only) {
        gw.on("device.pair.requested", (p) => p.silent || toast(`${p.displayName || p.clientId || "A device"} asks to be let in.`, "warn", ["#/devices", "Look"]));
        gw.on("exec.approval.requested", (p) => toast(`${p.request?.agentId || "An agent"} wants your word for a command.`, "warn", ["#/approvals", "Look"]));
    }
    document.querySelector(".skip").addEventListener("click", (e) => {
        e.preventDefault();
        (document.getElementById("message") || document.getElementById("main") || app).focus();
    });
}
