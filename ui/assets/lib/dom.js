/*
 * lib/dom.js - building and changing the page: elements, icons, times, notices, questions.
 * Text only ever becomes a text node: there is no innerHTML anywhere in this page.
 */
const SVG = "http://www.w3.org/2000/svg";
export const MARK = new URL("../icon.svg", import.meta.url).pathname;

/* Strokes on a 24 x 24 grid. */
const ICONS = {
    chat: "M4 5.500h16v11H11l-4.500 3.500v-3.500H4z",
    overview: "M4 13h4l2.500-7 4 12 2.500-5h3",
    activity: "M5 6h14M5 12h14M5 18h9",
    links: "M9.500 14.500l5-5M8 11l-2.500 2.500a3.500 3.500 0 005 5L13 16M16 13l2.500-2.500a3.500 3.500 0 00-5-5L11 8",
    agents: "M12 4v3M6 8h12v9H6zM9.500 12v1.500M14.500 12v1.500M3.500 11v4M20.500 11v4M9 20h6",
    settings: "M5 7h8M17 7h2M5 12h2M11 12h8M5 17h9M18 17h1M15 5v4M9 10v4M16 15v4",
    send: "M12 19V6M6.500 11.500L12 6l5.500 5.500",
    stop: "M8 8h8v8H8z",
    plus: "M12 5.500v13M5.500 12h13",
    clip: "M18.500 11l-7 7a4.200 4.200 0 01-6-6l7.500-7.500a2.800 2.800 0 014 4L9.800 15.700a1.400 1.400 0 01-2-2L14 7.500",
    copy: "M9 9h10v11H9zM6 15H5V4h10v2",
    check: "M5 12.500l4.500 4.500L19 7.500",
    retry: "M19 12a7 7 0 11-2.200-5.100M19 4v4h-4",
    edit: "M5 19l1-4L16 5l3 3L9 18z",
    more: "M6 12h.010M12 12h.010M18 12h.010",
    search: "M11 5a6 6 0 100 12 6 6 0 000-12zM15.500 15.500L20 20",
    close: "M6.500 6.500l11 11M17.500 6.500l-11 11",
    down: "M6 9.500l6 6 6-6",
    right: "M9.500 6l6 6-6 6",
    left: "M14.500 6l-6 6 6 6",
    tool: "M14 6a4 4 0 015-1l-2.500 2.500 2 2L21 7a4 4 0 01-5 5l-8 8-3-3 8-8a4 4 0 011-3z",
    pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7",
    trash: "M5 7h14M10 7V4.500h4V7M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5",
    archive: "M4 5h16v4H4zM5.500 9v10h13V9M10 13h4",
    file: "M7 3.500h7l4 4v13H7zM14 3.500v4h4",
    image: "M4 5h16v14H4zM4 16l5-5 4 4 2.500-2.500L20 17M15.500 9h.010",
    link: "M14 5h5v5M19 5l-8 8M11 6H5.500v12.500H18V13",
    sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 3v1.500M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1.100 1.100M17.300 17.300l1.100 1.100M18.400 5.600l-1.100 1.100M6.700 17.300l-1.100 1.100",
    lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 017 0v3",
    pause: "M9 6v12M15 6v12",
    play: "M8 5.500l10 6.500-10 6.500z",
    menu: "M4.500 7h15M4.500 12h15M4.500 17h15",
    warn: "M12 4l9 16H3zM12 10v4.500M12 17.300v.010",
    spark: "M12 4l1.800 5.200L19 11l-5.200 1.800L12 18l-1.800-5.200L5 11l5.200-1.800z",
    device: "M5 5h14v10H5zM9 19h6M12 15v4",
};

/* h("div", {class: "x", onclick: f, ariaLabel: "…"}, "text", node, [nodes]): null and false are left out. */
export function h(tag, props, ...kids) {
    const el = document.createElement(tag);
    for (const [k, v] of Object.entries(props || {})) {
        if (v === null || v === undefined || v === false) continue;
        if (k.startsWith("on")) el.addEventListener(k.slice(2), v);
        else if (k === "class") el.className = v;
        else if (k === "dataset") Object.assign(el.dataset, v);
        else if (k === "css") for (const [p, x] of Object.entries(v)) el.style.setProperty(p, x);
        else if (k.startsWith("aria") && k[4] !== "-") el.setAttribute("aria-" + k.slice(4).toLowerCase(), v);
        else if (k in el && typeof el[k] !== "object" && k !== "list" && k !== "form") el[k] = v;
        else el.setAttribute(k, v === true ? "" : v);
    }
    add(el, kids);
    return el;
}

export function add(el, kids) {
    for (const k of kids.flat(Infinity))
        if (k !== null && k !== undefined && k !== false) el.append(k);
    return el;
}

/* Replaces what el holds. */
export function put(el, ...kids) {
    el.replaceChildren();
    return add(el, kids);
}

export function svg(tag, attrs, ...kids) {
    const el = document.createElementNS(SVG, tag);
    for (const [k, v] of Object.entries(attrs || {})) el.setAttribute(k, v);
    add(el, kids);
    return el;
}

export function icon(name, size) {
    return svg("svg", {viewBox: "0 0 24 24", width: size || 20, height: size || 20, class: "icon", "aria-hidden": "true",
                       focusable: "false"}, svg("path", {d: ICONS[name] || ICONS.more}));
}

/* A button that shows only an icon but has a name. */
export function iconButton(name, label, onclick, more) {
    return h("button", {type: "button", class: "icon-button", ariaLabel: label, title: label, onclick, ...more}, icon(name));
}

/* ---- words for numbers and times ---- */

const pad = (n) => String(n).padStart(2, "0");

export function clock(ms, seconds = true) {
    const d = new Date(ms);
    return `${pad(d.getHours())}:${pad(d.getMinutes())}${seconds ? ":" + pad(d.getSeconds()) : ""}`;
}

export function day(ms) {
    return new Date(ms).toLocaleDateString(undefined, {weekday: "long", day: "numeric", month: "long"});
}

export function dateTime(ms) {
    const d = new Date(ms);
    return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clock(ms)}`;
}

export function ago(ms) {
    const s = Math.max(0, (Date.now() - ms) / 1000);
    if (s < 45) return "just now";
    if (s < 3600) return `${Math.max(1, Math.round(s / 60))} min ago`;
    if (s < 86400) return `${Math.round(s / 3600)} h ago`;
    if (s < 86400 * 14) return `${Math.round(s / 86400)} d ago`;
    return new Date(ms).toLocaleDateString();
}

export function span(ms) {
    if (ms < 1000) return `${Math.round(ms)} ms`;
    const s = ms / 1000;
    if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
    const two = (big, one, small, other) => `${Math.floor(s / big)} ${one}${Math.floor((s % big) / small) ? ` ${Math.floor((s % big) / small)} ${other}` : ""}`;
    return s < 3600 ? two(60, "min", 1, "s") : s < 86400 ? two(3600, "h", 60, "min") : two(86400, "d", 3600, "h");
}

export function bytes(n) {
    const units = ["B", "KB", "MB", "GB"];
    let i = 0;
    while (n >= 1000 && i < units.length - 1) {
        n /= 1024;
        i++;
    }
    return `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

export function count(n) {
    if (n < 10000) return String(n);
    return n < 1e6 ? `${(n / 1e3).toFixed(n < 1e5 ? 1 : 0)}k` : `${(n / 1e6).toFixed(1)}M`;
}

export function plural(n, one, many) {
    return `${n} ${n === 1 ? one : many || one + "s"}`;
}

/* ---- saying things ---- */

/* For those who listen instead of look. */
export function speak(text) {
    const el = document.getElementById("spoken");
    el.textContent = "";
    setTimeout(() => { el.textContent = text; }, 30);
}

/* A notice that goes by itself; an error, and one with a link to act on, only when it is closed. */
export function toast(text, kind = "ok", link = null) {
    const box = document.getElementById("toasts");
    const el = h("div", {class: `toast ${kind}`, role: kind === "err" ? "alert" : "status"}, icon(kind === "ok" ? "check" : "warn", 18),
                 h("span", {}, text, link && [" ", h("a", {href: link[0], onclick: () => el.remove()}, link[1])]), iconButton("close", "Close this notice", () => el.remove()));
    while (box.childElementCount > 3) box.firstElementChild.remove();
    box.append(el);
    if (kind !== "err" && !link) setTimeout(() => el.remove(), 5000);
}

/* What an error of a request says to a person. */
export function errorText(e) {
    if (e && e.code === "LOST") return "The connection was lost before the gateway answered.";
    return (e && e.message) || String(e);
}

/* A dialog; resolves with what its form holds, or null when it was closed. */
export function ask({title, body, fields = [], ok = "OK", danger = false}) {
    return new Promise((resolve) => {
        let answer = null;
        const inputs = fields.map((f) => {
            const input = h(f.area ? "textarea" : "input", {name: f.name, value: f.value || "", type: f.area ? undefined : "text",
                                                            required: f.required !== false, maxLength: f.max || 512, rows: f.area ? 4 : undefined});
            return h("label", {class: "field"}, h("span", {}, f.label), input);
        });
        const dialog = h("dialog", {class: "dialog", "aria-labelledby": "dialog-title"},
            h("form", {method: "dialog", onsubmit: () => {
                answer = {};
                for (const el of dialog.querySelectorAll("[name]")) answer[el.name] = el.value;
            }},
            h("h2", {id: "dialog-title"}, title), body && (typeof body === "string" ? h("p", {}, body) : h("div", {}, body)), inputs,
            h("div", {class: "row end"},
              h("button", {type: "button", class: "button", onclick: () => dialog.close()}, "Cancel"),
              h("button", {type: "submit", class: danger ? "button danger" : "button primary"}, ok))));
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(answer);
        });
        document.body.append(dialog);
        dialog.showModal();
    });
}

/* A menu under a button: items are [label, icon, f, danger]. */
export function menu(button, items) {
    const list = h("div", {class: "menu", role: "menu", popover: "auto"}, items.filter(Boolean).map(([label, name, f, danger]) =>
        h("button", {type: "button", role: "menuitem", class: danger ? "danger" : "", onclick: () => {
            list.hidePopover();
            f();
        }}, icon(name, 18), label)));
    list.addEventListener("toggle", (e) => {
        if (e.newState === "closed") {
            list.remove();
            button.setAttribute("aria-expanded", "false");
            if (button.isConnected && !document.querySelector("dialog[open]")) button.focus();
        }
    });
    list.addEventListener("keydown", (e) => {
        const all = [...list.children], i = all.indexOf(document.activeElement);
        const to = e.key === "ArrowDown" ? i + 1 : e.key === "ArrowUp" ? i - 1 : e.key === "Home" ? 0 : e.key === "End" ? all.length - 1 : null;
        if (to === null) return;
        e.preventDefault();
        all[(to + all.length) % all.length].focus();
    });
    document.body.append(list);
    button.setAttribute("aria-expanded", "true");
    list.showPopover();
    const b = button.getBoundingClientRect(), m = list.getBoundingClientRect();
    list.style.setProperty("left", `${Math.max(8, Math.min(b.left, innerWidth - m.width - 8))}px`);
    list.style.setProperty("top", `${b.bottom + m.height + 8 < innerHeight ? b.bottom + 4 : Math.max(8, b.top - m.height - 4)}px`);
    list.firstElementChild.focus();
}

export async function copyText(text, button) {
    try {
        await navigator.clipboard.writeText(text);
        speak("Copied");
        if (button) {
            const old = [...button.childNodes];
            put(button, icon("check", 16));
            setTimeout(() => button.replaceChildren(...old), 1200);
        }
    } catch {
        toast("The browser does not let this page copy. Select the text instead.", "err");
    }
}
