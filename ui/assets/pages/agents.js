/* pages/agents.js - the agents and the files that make them who they are. */
import {h} from "../lib/dom.js";
import {agentFiles} from "./agent_files.js";
import {head, reading, tag} from "./kit.js";

export default function agents(gw) {
    const model = (a) => (a.model ? [a.model.primary, ...(a.model.fallbacks || [])].join(", then ") : "the default");
    return reading(gw, {load: () => gw.ask("agents.list"), events: ["config.changed"],
        draw: (got) => [head("Agents", "Who answers. Each has its own conversations, files and model."), h("ul", {class: "accounts wide"}, got.agents.map((a) => h("li", {class: "card account"},
            h("header", {class: "row"}, h("span", {class: "face", "aria-hidden": "true"}, a.identity?.emoji || (a.identity?.name || a.name || a.id).slice(0, 1).toUpperCase()), h("h3", {}, a.identity?.name || a.name || a.id), a.id === got.defaultId ? tag("default", "brand") : null),
            h("dl", {class: "facts"}, h("dt", {}, "Id"), h("dd", {}, h("code", {}, a.id)), h("dt", {}, "Model"), h("dd", {class: "mono"}, model(a)), a.workspace ? [h("dt", {}, "Workspace"), h("dd", {class: "mono"}, a.workspace)] : null),
            agentFiles(gw, a), h("div", {class: "row"}, h("a", {class: "button small", href: `#/chat/${encodeURIComponent(`agent:${a.id}:main`)}`}, "Talk to it")))))]});
}
