/* pages/tools.js - what agents can do besides talking, how much harm it could do, and which of it they may use now. */
import {h} from "../lib/dom.js";
import {head, none, reading, tableOf, tag} from "./kit.js";

const RISK = {low: ["reads only", "ok"], medium: ["acts", "warn"], high: ["can do harm", "err"]};

export default function tools(gw) {
    const load = async () => {
        const [catalog, agents] = await Promise.all([gw.ask("tools.catalog", {}), gw.has("tools.effective") ? gw.ask("agents.list").catch(() => null) : null]);
        const may = await Promise.all((agents?.agents || []).slice(0, 12).map(async (a) => {
            const got = await gw.ask("tools.effective", {agentId: a.id, sessionKey: `agent:${a.id}:main`}).catch(() => null);
            return {id: a.id, profile: got?.profile, ids: new Set((got?.groups || []).flatMap((g) => g.tools.map((t) => t.id)))};
        }));
        return {catalog, may};
    };
    return reading(gw, {load, events: ["config.changed"], draw: ({catalog, may}) => {
        const columns = (several) => [
            ["Tool", (t) => h("div", {}, h("span", {class: "cell-title mono"}, t.id), h("span", {class: "cell-sub wrap"}, t.description))],
            ["Risk", (t) => (RISK[t.risk] ? tag(...RISK[t.risk]) : "")],
            [several ? "Agents that may" : "May use it", (t) => {
                const who = may.filter((a) => a.ids.has(t.id)).map((a) => a.id);
                return several ? who.join(", ") || h("span", {class: "soft"}, "none") : who.length ? "yes" : h("span", {class: "soft"}, "no");
            }]];
        return [head("Tools", ["What agents can do besides talking. Which of it they may is set under ", h("a", {href: "#/config/tools"}, "Settings, tools"), "."]),
            catalog.groups.length ? catalog.groups.map((g) => h("section", {}, h("h2", {}, g.label), tableOf(g.tools, columns(may.length > 1), `${g.label}: tools`))) : none("No tools", "Agents only talk here.")];
    }});
}
