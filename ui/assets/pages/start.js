/* pages/start.js - the first steps on a fresh gateway: a model, a first answer, a first channel. */
import {copyText, errorText, h, icon, iconButton, put, toast} from "../lib/dom.js";
import {Conversation} from "../chat/store.js";
import {messageNode, runNode} from "../chat/view.js";
import {firstChannel} from "./channel_steps.js";
import {head} from "./kit.js";

const MAKERS = [
    {id: "anthropic", name: "Anthropic", baseUrl: "https://api.anthropic.com", api: "anthropic-messages", model: "claude-sonnet-4-5", key: true, keys: "https://platform.claude.com/settings/keys"},
    {id: "openai", name: "OpenAI", baseUrl: "https://api.openai.com/v1", api: "openai-completions", model: "gpt-4.1-mini", key: true, keys: "https://platform.openai.com/api-keys"},
    {id: "openrouter", name: "OpenRouter", baseUrl: "https://openrouter.ai/api/v1", api: "openai-completions", model: "", key: true, keys: "https://openrouter.ai/settings/keys"},
    {id: "ollama", name: "Ollama, on this machine", baseUrl: "http://127.0.0.1:11434/v1", api: "openai-completions", model: "llama3.2", key: false},
    {id: "custom", name: "Another, with OpenAI's interface", baseUrl: "", api: "openai-completions", model: "", key: false},
];

class StartPage {
    constructor(gw) {
        this.gw = gw;
        this.maker = MAKERS[0];
        this.writable = gw.may("admin") && gw.has("config.patch");
    }

    show(el) {
        this.model = h("div", {});
        this.chat = h("div", {});
        const step = (n, title, body, done) => h("li", {class: "card step"}, h("span", {class: `step-no${done ? " done" : ""}`, "aria-hidden": "true"}, done ? icon("check", 18) : n), h("div", {class: "step-body"}, h("h2", {}, title), body));
        this.channels = firstChannel(this.gw, this.writable, () => this.steps());
        this.list = h("ol", {class: "steps"});
        put(el, h("div", {class: "page narrow"}, head("First steps", "Three things and your gateway is yours. Each can be done later, too."), this.list));
        this.steps = () => put(this.list, step(1, "A model that answers", this.model, this.has), step(2, "A first answer", this.chat, this.answered), step(3, "A first channel", this.channels.node, this.channels.done));
        this.read();
    }

    leave() {
        this.c?.close();
        this.channels.leave();
    }

    async read() {
        try {
            const [conf, models] = await Promise.all([this.gw.ask("config.get"), this.gw.ask("models.list", {})]);
            this.conf = conf;
            const primary = conf.config?.agents?.defaults?.model?.primary || conf.config?.agents?.defaults?.model || "";
            this.primary = typeof primary === "string" ? primary : "";
            this.has = models.models.some((m) => m.provider !== "demo");
        } catch (e) {
            if (e.code !== "LOST") toast(errorText(e), "err");
        }
        this.drawModel();
        this.drawChat();
        this.steps();
    }

    drawModel() {
        if (this.has && !this.again) {
            put(this.model, h("p", {}, "Ready. Answers come from ", h("code", {}, this.primary || "the default model"), "."), h("p", {}, h("button", {type: "button", class: "button small", onclick: () => {
                this.again = true;
                this.drawModel();
            }}, "Add another one")));
            return;
        }
        const m = this.maker, input = (name, label, value, more) => h("label", {class: "field"}, h("span", {}, label), h("input", {name, value, spellcheck: false, autocomplete: "off", ...more}));
        const bad = h("p", {class: "bad", role: "alert", hidden: true});
        const form = h("form", {onsubmit: (e) => {
            e.preventDefault();
            this.save(form, bad);
        }}, h("fieldset", {class: "makers"}, h("legend", {}, "Who makes it"), MAKERS.map((x) => h("label", {class: x === m ? "on" : ""}, h("input", {type: "radio", name: "maker", value: x.id, checked: x === m, onchange: () => {
            this.maker = x;
            this.drawModel();
            this.model.querySelector("input[name=maker]:checked").focus();
        }}), x.name))),
        input("baseUrl", "Address", m.baseUrl, {required: true, type: "url"}), input("model", "Model", m.model, {required: true, placeholder: "as the maker names it"}),
        input("key", m.key ? "Key" : "Key (if it wants one)", "", {type: "password", required: m.key, autocomplete: "new-password"}),
        m.keys ? h("p", {class: "soft small"}, "You find it at ", h("a", {href: m.keys, target: "_blank", rel: "noopener noreferrer"}, new URL(m.keys).host), ", and your gateway talks to nobody else with it.") : null, bad,
        this.writable ? h("div", {class: "row end"}, h("button", {type: "submit", class: "button primary"}, "Save and go on")) :
            [h("p", {class: "soft"}, "This page cannot write the configuration. Put this into ", h("code", {}, this.conf?.path || "openclaw.json"), "; it is read by itself:"), this.snippet(m)]);
        put(this.model, h("p", {class: "soft"}, "The key goes to your gateway, which keeps it in its configuration file and shows it to nobody."), form);
    }

    snippet(m) {
        const text = JSON.stringify({models: {providers: {[m.id]: {baseUrl: m.baseUrl || "https://…", api: m.api, ...(m.key ? {apiKey: "${" + m.id.toUpperCase() + "_API_KEY}"} : {}), models: [{id: m.model || "…"}]}}}, agents: {defaults: {model: {primary: `${m.id}/${m.model || "…"}`}}}}, null, 2);
        return h("div", {class: "command top"}, h("pre", {tabIndex: 0}, text), iconButton("copy", "Copy", (e) => copyText(text, e.currentTarget)));
    }

    async save(form, bad) {
        const f = Object.fromEntries(new FormData(form)), m = this.maker;
        const provider = {baseUrl: f.baseUrl.trim(), api: m.api, models: [{id: f.model.trim(), name: f.model.trim()}]};
        if (f.key) provider.apiKey = f.key.trim();
        const patch = {models: {providers: {[m.id]: provider}}, agents: {defaults: {model: {primary: `${m.id}/${f.model.trim()}`}}}};
        bad.hidden = true;
        try {
            const lists = this.conf.parsed?.models?.providers?.[m.id]?.models ? [`models.providers.${m.id}.models`] : [];
            await this.gw.ask("config.patch", {raw: JSON.stringify(patch), baseHash: this.conf.hash, replacePaths: lists});
            this.again = false;
            toast("Saved. Asking it now…");
            await this.read();
            this.hello();
        } catch (e) {
            bad.hidden = false;
            put(bad, icon("warn", 18), errorText(e));
            if (/changed since/.test(e.message)) this.conf = await this.gw.ask("config.get");
        }
    }

    drawChat() {
        const rows = h("div", {class: "rows mini"});
        this.rows = rows;
        put(this.chat, h("p", {class: "soft"}, this.has ? "One message, to see that it works." : "Until then the built-in demo answers; it needs no key and no network."), rows,
            h("p", {}, h("button", {type: "button", class: "button", onclick: () => this.hello()}, "Say hello"), " ", h("a", {class: "button", href: "#/chat"}, "Open the chat")));
    }

    hello() {
        this.c?.close();
        this.c = new Conversation(this.gw, "agent:main:first-steps");
        const draw = () => put(this.rows, this.c.messages.slice(-2).map((m) => messageNode(m, this.c, {edit() {}, resend() {}, retry: () => this.hello()})), [...this.c.runs.values()].map((r) => runNode(r)));
        this.c.addEventListener("change", draw);
        this.c.addEventListener("finished", () => {
            this.answered = true;
            draw();
            this.steps();
        });
        this.c.addEventListener("failed", () => {
            draw();
            this.rows.append(this.advice());
        });
        this.c.send("Hello! Say in one sentence who you are.");
    }

    /* What a failure of the first answer most likely means. */
    advice() {
        const said = (this.c.messages.at(-1)?.error || "").toLowerCase();
        const why = /401|403|key|unauth|credential/.test(said) ? "The maker did not take the key. Look for a missing letter, or make a new one." :
            /404|not found|does not exist|unknown model/.test(said) ? "The maker does not know this model. Its exact name is on the maker's page." :
                /429|quota|credit|billing/.test(said) ? "The key is good, but the account has no credit or asks too often." :
                    /resolve|connect|timed? ?out|unreachable|network/.test(said) ? "The address was not reached. Is it right, and does the server run?" : "Look at what it said, and at the settings above.";
        return h("p", {class: "notice warn"}, why, " ", h("button", {type: "button", class: "link", onclick: () => {
            this.again = true;
            this.maker = MAKERS.find((x) => this.primary.startsWith(x.id + "/")) || this.maker;
            this.drawModel();
            this.model.querySelector("input[name=key]")?.focus();
        }}, "Change it"));
    }
}

export default (gw) => new StartPage(gw);
