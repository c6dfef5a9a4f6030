/* pages/agents.js - the agents and the files that make them who they are. */
import {ago, bytes, errorText, h, put, toast} from "../lib/dom.js";
import {head, reading, tag} from "./kit.js";

const WHAT = {"AGENTS.md": "how it works", "SOUL.md": "its character", "IDENTITY.md": "name and face", "USER.md": "whom it serves", "BOOTSTRAP.md": "its first steps", "MEMORY.md": "what it remembers", "TOOLS.md": "its tools", "HEARTBEAT.md": "what it does unasked"};

export default function agents(gw) {
    const model = (a) => (a.model ? [a.model.primary, ...(a.model.fallbacks || [])].join(", then ") : "the default");
    function files(a) {
        if (!gw.has("agents.files.list", "agents.files.get")) return null;
        const box = h("div", {});
        const open = async (name) => {
            try {
                const {file} = await gw.ask("agents.files.get", {agentId: a.id, name});
                const area = h("textarea", {class: "mono editor", value: file.content || "", ariaLabel: name, readOnly: !gw.may("admin") || !gw.has("agents.files.set")});
                put(box, h("div", {class: "row"}, h("h4", {}, name), h("span", {class: "grow"}), h("button", {type: "button", class: "button small", onclick: list}, "Back"), !area.readOnly && h("button", {type: "button", class: "button small primary", onclick: async () => {
                    try {
                        await gw.ask("agents.files.set", {agentId: a.id, name, content: area.value, ...(file.hash ? {expectedHash: file.hash} : {})});
                        toast(`${name} is saved.`);
                        await list();
                    } catch (e) {
                        toast(errorText(e), "err");
                    }
                }}, "Save")), area);
            } catch (e) {
                toast(errorText(e), "err");
            }
        };
        const list = async () => {
            try {
                const got = await gw.ask("agents.files.list", {agentId: a.id});
                put(box, h("ul", {class: "plain files-list"}, got.files.map((f) => h("li", {}, h("button", {type: "button", class: "link", onclick: () => open(f.name)}, f.name), h("span", {class: "soft"}, WHAT[f.name] || ""), h("span", {class: "soft num"}, f.missing ? "not there" : `${bytes(f.size || 0)}${f.updatedAtMs ? `, ${ago(f.updatedAtMs)}` : ""}`)))));
            } catch (e) {
                put(box, h("p", {class: "soft"}, errorText(e)));
            }
        };
        list();
        return box;
    }
    return reading(gw, {load: () => gw.ask("agents.list"), events: ["config.changed"],
        draw: (got) => [head("Agents", "Who answers. Each has its own conversations, files and model."), h("ul", {class: "accounts wide"}, got.agents.map((a) => h("li", {class: "card account"},
            h("header", {class: "row"}, h("span", {class: "face", "aria-hidden": "true"}, a.identity?.emoji || (a.identity?.name || a.name || a.id).slice(0, 1).toUpperCase()), h("h3", {}, a.identity?.name || a.name || a.id), a.id === got.defaultId ? tag("default", "brand") : null),
            h("dl", {class: "facts"}, h("dt", {}, "Id"), h("dd", {}, h("code", {}, a.id)), h("dt", {}, "Model"), h("dd", {class: "mono"}, model(a)), a.workspace ? [h("dt", {}, "Workspace"), h("dd", {class: "mono"}, a.workspace)] : null),
            files(a), h("div", {class: "row"}, h("a", {class: "button small", href: `#/chat/${encodeURIComponent(`agent:${a.id}:main`)}`}, "Talk to it")))))]});
}
