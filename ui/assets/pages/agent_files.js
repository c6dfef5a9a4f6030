/* pages/agent_files.js - the files that make an agent who it is: a list, and one of them open in an editor. */
import {ago, ask, bytes, errorText, h, put, toast} from "../lib/dom.js";

const WHAT = {"AGENTS.md": "how it works", "SOUL.md": "its character", "TOOLS.md": "what it should know of its tools", "IDENTITY.md": "name and face", "USER.md": "whom it serves",
              "HEARTBEAT.md": "what it looks after unasked", "BOOTSTRAP.md": "its first steps", "MEMORY.md": "what it remembers"};
const START = {"SOUL.md": "You are …\n\nYou are brief and kind. You say when you do not know.\n", "USER.md": "Call me …\n\nI live in …, I speak …\n", "AGENTS.md": "Answer in the language of the question.\n"};

/* What was typed and not saved outlives a reading of the page: agent -> {name, text, hash}. */
const drafts = new Map();

export function agentFiles(gw, agent) {
    if (!gw.has("agents.files.list", "agents.files.get")) return null;
    const box = h("div", {class: "agent-files"}), writable = gw.may("admin") && gw.has("agents.files.set");
    const failed = (e) => toast(errorText(e), "err");

    function editor(name, text, hash, missing) {
        const area = h("textarea", {class: "mono editor", value: text, ariaLabel: `${name} of ${agent.id}`, readOnly: !writable, spellcheck: false, placeholder: START[name] || `${name}: ${WHAT[name] || ""}`, oninput: () => {
            drafts.set(agent.id, {name, text: area.value, hash});
            state.textContent = "not saved";
        }, onkeydown: (e) => {
            if (e.key === "s" && (e.ctrlKey || e.metaKey)) {
                e.preventDefault();
                save();
            }
        }});
        const state = h("span", {class: "soft", role: "status"}, missing ? "not there yet" : "");
        async function save() {
            try {
                await gw.ask("agents.files.set", {agentId: agent.id, name, content: area.value, ...(hash ? {expectedHash: hash} : {})});
                drafts.delete(agent.id);
                toast(`${name} is saved. It holds from the next message on.`);
                await list();
            } catch (e) {
                if (/changed meanwhile/.test(e.message || "") && await ask({title: `${name} was changed meanwhile`, body: "Somebody, or the agent itself, has written it since you opened it. Write over that?", ok: "Write over it", danger: true})) {
                    hash = null;
                    await save();
                } else failed(e);
            }
        }
        put(box, h("div", {class: "row"}, h("h4", {}, name), state, h("span", {class: "grow"}), h("button", {type: "button", class: "button small", onclick: () => {
            drafts.delete(agent.id);
            list();
        }}, writable ? "Discard" : "Back"), writable && h("button", {type: "button", class: "button small primary", onclick: save}, "Save")),
        h("p", {class: "soft small"}, `${WHAT[name] || ""}.`), area);
        return area;
    }

    async function open(name) {
        try {
            const {file} = await gw.ask("agents.files.get", {agentId: agent.id, name});
            editor(name, file.content || "", file.hash, file.missing).focus();
        } catch (e) {
            failed(e);
        }
    }

    async function list() {
        try {
            const got = await gw.ask("agents.files.list", {agentId: agent.id});
            put(box, h("h4", {}, "Who it is"), h("p", {class: "soft small"}, "Files that are told to the model before each message. They lie in ", h("code", {}, got.workspace), "."),
                h("ul", {class: "plain files-list"}, got.files.map((f) => h("li", {}, h("button", {type: "button", class: "link", onclick: () => open(f.name)}, f.name), h("span", {class: "soft"}, WHAT[f.name] || ""),
                    h("span", {class: "soft num"}, f.missing ? "not there" : `${bytes(f.size || 0)}${f.updatedAtMs ? `, ${ago(f.updatedAtMs)}` : ""}`)))));
        } catch (e) {
            if (e.code !== "LOST") put(box, h("p", {class: "soft"}, errorText(e)));
        }
    }

    const draft = drafts.get(agent.id);
    if (draft) editor(draft.name, draft.text, draft.hash, false);
    else list();
    return box;
}
