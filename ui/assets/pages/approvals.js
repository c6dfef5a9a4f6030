/* pages/approvals.js - what agents want to do and may not without somebody's word; and what was decided. */
import {ago, errorText, h, span, toast} from "../lib/dom.js";
import {head, none, reading, tableOf, tag} from "./kit.js";

export default function approvals(gw) {
    const decide = (a, decision, again) => async () => {
        try {
            await gw.ask("exec.approval.resolve", {id: a.id, decision});
            toast(decision === "deny" ? "Refused." : "Allowed.");
        } catch (e) {
            toast(errorText(e), "err");
        }
        again();
    };
    const one = (a, again) => h("li", {class: "card account ask"}, h("header", {class: "row"}, h("h3", {}, `${a.request.agentId || "An agent"} wants to run`), tag(`${span(Math.max(0, a.expiresAtMs - Date.now()))} left`, "warn")),
        h("pre", {class: "cmd", tabIndex: 0, role: "region", ariaLabel: "Command"}, a.request.command), a.request.warningText ? h("p", {class: "notice warn"}, a.request.warningText) : null,
        h("dl", {class: "facts"}, [["In", a.request.cwd], ["On", a.request.host || a.request.nodeId], ["For", a.request.sessionKey], ["Asked", ago(a.createdAtMs)]].filter(([, v]) => v).map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
        h("div", {class: "row"}, h("button", {type: "button", class: "button primary", onclick: decide(a, "allow-once", again)}, "Allow once"),
            (a.request.allowedDecisions || ["allow-always"]).includes("allow-always") && a.request.ask !== "always" ? h("button", {type: "button", class: "button", onclick: decide(a, "allow-always", again)}, "Always allow") : null,
            h("button", {type: "button", class: "button danger", onclick: decide(a, "deny", again)}, "Refuse")));
    return reading(gw, {every: 5000, events: ["exec.approval.requested", "exec.approval.resolved"],
        load: async () => ({open: await gw.ask("exec.approval.list"), past: gw.has("approval.history") ? await gw.ask("approval.history", {limit: 50}).catch(() => null) : null}),
        draw: ({open, past}, again) => [head("Approvals"), open.length ? h("ul", {class: "accounts"}, open.map((a) => one(a, again))) : none("Nothing waits for you", "When an agent wants something that needs your word, it stands here and in every open page."),
            past?.items?.length ? h("section", {}, h("h2", {}, "Decided"), tableOf(past.items, [["What", (x) => h("span", {class: "mono"}, x.presentation?.commandText || x.id)], ["Outcome", (x) => tag(x.status, x.status === "allowed" ? "ok" : x.status === "denied" ? "err" : "")], ["By", (x) => x.resolver || ""], ["When", (x) => ago(x.resolvedAtMs || x.createdAtMs)]], "Decided approvals")) : null]});
}
