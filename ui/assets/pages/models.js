/* pages/models.js - the models that can be asked, and which one is the default. */
import {count, errorText, h, icon, toast} from "../lib/dom.js";
import {head, reading, tableOf, tag} from "./kit.js";

export default function models(gw) {
    const probe = (m) => async () => {
        try {
            const got = await gw.ask("models.probe", {provider: m.provider}, 60000);
            toast(got.status === "ok" ? `${m.provider} answers (${got.latencyMs} ms).` : `${m.provider}: ${got.error || got.status}`, got.status === "ok" ? "ok" : "err");
        } catch (e) {
            toast(errorText(e), "err");
        }
    };
    return reading(gw, {load: () => gw.ask("models.list", {}), events: ["config.changed"],
        draw: (got) => [head("Models", "What your agents can ask. A conversation may use another one than the default: choose it at the top of the chat.", h("a", {class: "button", href: "#/start"}, icon("plus", 18), "Add a model")),
            tableOf(got.models, [["Model", (m) => h("div", {}, h("span", {class: "cell-title"}, m.name || m.id, m.tags?.includes("default") ? [" ", tag("default", "brand")] : null), h("span", {class: "cell-sub mono"}, `${m.provider}/${m.id}`))],
                ["State", (m) => (m.available === false ? tag(m.unavailableReason || "not available", "err") : tag("ready", "ok"))], ["Reads", (m) => (m.contextWindow ? `${count(m.contextWindow)} tokens` : "")], ["Thinks", (m) => (m.reasoning ? "yes" : "no")],
                ["", (m) => (gw.has("models.probe") && gw.may("admin") ? h("button", {type: "button", class: "button small", onclick: probe(m)}, "Try it") : ""), "acts-cell"]], "Models")]});
}
