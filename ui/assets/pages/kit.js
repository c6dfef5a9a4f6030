/*
 * pages/kit.js - what pages share: a frame that reads, shows, says why it cannot, and reads again when it should.
 */
import {errorText, h, put} from "../lib/dom.js";

/*
 * A page that shows what load() gives. events: names after which it is read again; every: milliseconds, 0 never.
 * draw(data, again) returns nodes.
 */
export function reading(gw, {load, draw, events = [], every = 0}) {
    let el, timer, later, gone = false, busy = false, off = [];
    async function again() {
        if (busy || gone || gw.state !== "ready") return;
        busy = true;
        try {
            const data = await load();
            if (!gone) put(el, draw(data, again));
        } catch (e) {
            if (!gone && e.code !== "LOST")
                put(el, h("p", {class: "notice err", role: "alert"}, errorText(e)), h("p", {}, h("button", {type: "button", class: "button", onclick: again}, "Try again")));
        }
        busy = false;
        clearTimeout(timer);
        if (every && !gone) timer = setTimeout(again, every);
    }
    const soon = () => {
        clearTimeout(later);
        later = setTimeout(again, 200);
    };
    const onState = () => gw.state === "ready" && again();
    return {
        show(main) {
            el = h("div", {class: "page"}, h("p", {class: "soft"}, "Loading…"));
            put(main, el);
            gw.addEventListener("state", onState);
            off = events.map((name) => gw.on(name, soon));
            again();
        },
        leave() {
            gone = true;
            clearTimeout(timer);
            clearTimeout(later);
            off.forEach((f) => f());
            gw.removeEventListener("state", onState);
        },
    };
}

export function head(title, words, ...more) {
    return h("header", {}, h("h1", {}, title), words && h("p", {class: "soft lead"}, words), h("span", {class: "grow"}), more);
}

export function none(title, ...words) {
    return h("div", {class: "card none"}, h("h2", {}, title), h("p", {class: "soft"}, words));
}

export function tag(text, kind = "") {
    return h("span", {class: `tag ${kind}`}, text);
}

/* columns: [[heading, row => node, class]] */
export function tableOf(rows, columns, label) {
    return h("div", {class: "table-scroll", tabIndex: 0, role: "region", ariaLabel: label}, h("table", {class: "grid"},
        h("thead", {}, h("tr", {}, columns.map(([name, , cls]) => h("th", {scope: "col", class: cls || ""}, name || h("span", {class: "sr"}, "Actions"))))),
        h("tbody", {}, rows.map((r) => h("tr", {}, columns.map(([name, f, cls]) => h("td", {class: cls || "", dataset: {name}}, f(r))))))));
}
