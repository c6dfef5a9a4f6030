/* pages/deliveries.js - what goes out to channels: waiting, sent, and what was set aside because it could not be delivered. */
import {ago, ask, dateTime, errorText, h, toast} from "../lib/dom.js";
import {head, none, reading, tableOf, tag} from "./kit.js";

const STATES = [["", "Open"], ["dead", "Set aside"], ["sent", "Sent"], ["dropped", "Given up"]];
const KIND = {queued: ["waits", "brand"], sending: ["going out", "brand"], sent: ["sent", "ok"], unknown: ["perhaps sent", "warn"], dead: ["set aside", "err"], dropped: ["given up", ""]};

export default function deliveries(gw) {
    let state = "";
    const act = (method, d, done, again) => async () => {
        try {
            await gw.ask(method, {id: d.id});
            toast(done);
        } catch (e) {
            toast(errorText(e), "err");
        }
        again();
    };
    const look = async (d) => {
        try {
            const got = await gw.ask("deliveries.get", {id: d.id});
            await ask({title: `To ${d.to}`, body: (got.texts || got.delivery?.texts || []).join("\n\n").slice(0, 3000) || "There is no text to show.", ok: "Close"});
        } catch (e) {
            toast(errorText(e), "err");
        }
    };
    return reading(gw, {every: 5000,
        load: async () => {
            try {
                return await gw.ask("deliveries.list", {limit: 200, ...(state ? {state} : {})});
            } catch (e) {
                if (/unknown method/.test(e.message)) return null;
                throw e;
            }
        },
        draw: (got, again) => {
            if (!got) return [head("Deliveries"), none("Not offered", "This gateway has no queue of outgoing messages.")];
            return [head("Deliveries", "Messages on their way to channels. Nothing is lost: what cannot be delivered is set aside until somebody decides.",
                h("div", {class: "seg", role: "group", ariaLabel: "Which"}, STATES.map(([s, label]) => h("button", {type: "button", "aria-pressed": String(s === state), onclick: () => {
                    state = s;
                    again();
                }}, label)))),
            h("p", {class: "soft"}, `${got.open} open, ${got.held} held back.`),
            got.deliveries.length ? tableOf(got.deliveries, [
                ["To", (d) => h("div", {}, h("span", {class: "cell-title"}, d.to), h("span", {class: "cell-sub"}, `${d.channel}${d.accountId && d.accountId !== "default" ? ` · ${d.accountId}` : ""}`))],
                ["State", (d) => tag(...(KIND[d.state] || [d.state, ""]))],
                ["Tries", (d) => h("span", {class: "num"}, d.attempts), "right"],
                ["Parts", (d) => h("span", {class: "num"}, `${d.partsSent} of ${d.parts}`), "right"],
                ["What happened", (d) => h("span", {class: "cell-sub"}, d.error || (d.nextAt ? `next try ${new Date(d.nextAt).toLocaleTimeString()}` : ""))],
                ["Since", (d) => h("time", {title: dateTime(d.createdAt)}, ago(d.createdAt))],
                ["", (d) => h("div", {class: "row end"}, h("button", {type: "button", class: "button small", onclick: () => look(d)}, "Read"),
                    d.state === "dead" && h("button", {type: "button", class: "button small", onclick: act("deliveries.retry", d, "It goes out again.", again)}, "Send again"),
                    ["dead", "queued"].includes(d.state) && h("button", {type: "button", class: "button small danger", onclick: act("deliveries.drop", d, "Given up.", again)}, "Give up")), "acts-cell"],
            ], "Deliveries") : none(state === "dead" ? "Nothing was set aside" : "Nothing here", state ? "" : "No message waits to go out.")];
        }});
}
