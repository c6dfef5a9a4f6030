/* pages/skills.js - what agents have learned: on, off, and what one still needs. */
import {errorText, h, toast} from "../lib/dom.js";
import {head, none, reading, tag} from "./kit.js";

export default function skills(gw) {
    const lacks = (s) => [...(s.missing?.bins || []), ...(s.missing?.env || []), ...(s.missing?.config || []), ...(s.missing?.os || [])];
    return reading(gw, {load: () => gw.ask("skills.status", {}), events: ["skills.changed"],
        draw: (got, again) => [head("Skills", "Instructions and tools an agent can use when it needs them."), got.skills.length ? h("ul", {class: "accounts"}, got.skills.map((s) => h("li", {class: "card account"},
            h("header", {class: "row"}, h("span", {"aria-hidden": "true"}, s.emoji || ""), h("h3", {}, s.name), s.disabled ? tag("off") : s.eligible ? tag("ready", "ok") : tag("lacks something", "warn")), h("p", {class: "soft"}, s.description),
            lacks(s).length ? h("p", {class: "soft"}, "Needs: ", h("code", {}, lacks(s).join(", "))) : null,
            gw.has("skills.update") && gw.may("admin") ? h("div", {class: "row"}, h("button", {type: "button", class: "button small", onclick: async () => {
                try {
                    await gw.ask("skills.update", {skillKey: s.skillKey, enabled: !!s.disabled});
                } catch (e) {
                    toast(errorText(e), "err");
                }
                again();
            }}, s.disabled ? "Turn on" : "Turn off")) : null))) : none("No skills", "None is installed.")]});
}
