/* pages/cron.js - what happens by itself: when, how it went, and doing it now. */
import {ago, ask, dateTime, errorText, h, span, toast} from "../lib/dom.js";
import {head, none, reading, tableOf, tag} from "./kit.js";

function when(s) {
    if (s.kind === "at") return `once, ${dateTime(Date.parse(s.at))}`;
    if (s.kind === "every") return `every ${span(s.everyMs)}`;
    if (s.kind === "cron") return h("span", {}, h("code", {}, s.expr), s.tz ? ` ${s.tz}` : "");
    return s.kind;
}

export default function cron(gw) {
    const act = (method, params, done, again) => async () => {
        try {
            await gw.ask(method, params);
            toast(done);
        } catch (e) {
            toast(errorText(e), "err");
        }
        again();
    };
    const add = async (again) => {
        const a = await ask({title: "Add a task", body: "The agent gets this message at each time, in a conversation of its own.", fields: [{name: "name", label: "Name", max: 80}, {name: "expr", label: "When, as a cron expression (minute hour day month weekday)", value: "0 9 * * 1-5", max: 120}, {name: "message", label: "Message to the agent", area: true, max: 4000}], ok: "Add"});
        if (a) await act("cron.add", {name: a.name, schedule: {kind: "cron", expr: a.expr}, sessionTarget: "isolated", wakeMode: "now", payload: {kind: "agentTurn", message: a.message}, enabled: true}, "Added.", again)();
    };
    const admin = gw.may("admin");
    return reading(gw, {every: 10000, events: ["cron"], load: async () => ({list: await gw.ask("cron.list", {includeDisabled: true, limit: 200}), runs: gw.has("cron.runs") ? await gw.ask("cron.runs", {scope: "all", limit: 20, sortDir: "desc"}).catch(() => null) : null}),
        draw: ({list, runs}, again) => [head("Schedule", "What the gateway does by itself.", admin && gw.has("cron.add") ? h("button", {type: "button", class: "button primary", onclick: () => add(again)}, "Add a task") : null),
            list.jobs.length ? tableOf(list.jobs, [["Task", (j) => h("div", {}, h("span", {class: "cell-title"}, j.displayName || j.name || j.id), h("span", {class: "cell-sub"}, j.payload?.message || j.payload?.text || j.description || ""))], ["When", (j) => when(j.schedule)],
                ["Next", (j) => (!j.enabled ? tag("off") : j.state?.nextRunAtMs ? dateTime(j.state.nextRunAtMs) : "")], ["Last", (j) => (j.state?.lastRunStatus ? h("span", {}, tag(j.state.lastRunStatus, j.state.lastRunStatus === "ok" ? "ok" : "err"), ` ${ago(j.state.lastRunAtMs)}`) : "never")],
                ["", (j) => (admin ? h("div", {class: "row end"}, gw.has("cron.run") && h("button", {type: "button", class: "button small", onclick: act("cron.run", {id: j.id, mode: "force"}, "It runs.", again)}, "Run now"), gw.has("cron.update") && h("button", {type: "button", class: "button small", onclick: act("cron.update", {id: j.id, patch: {enabled: !j.enabled}}, j.enabled ? "Off." : "On.", again)}, j.enabled ? "Turn off" : "Turn on"),
                    gw.has("cron.remove") && h("button", {type: "button", class: "button small danger", onclick: async () => {
                        if (await ask({title: "Remove this task?", body: j.name, ok: "Remove", danger: true})) await act("cron.remove", {id: j.id}, "Removed.", again)();
                    }}, "Remove")) : ""), "acts-cell"]], "Tasks") : none("Nothing is scheduled", "Reminders and regular tasks of your agents stand here."),
            runs?.entries?.length ? h("section", {}, h("h2", {}, "Last runs"), tableOf(runs.entries, [["Task", (r) => r.jobName || r.jobId], ["Outcome", (r) => tag(r.status, r.status === "ok" ? "ok" : "err")], ["What came of it", (r) => h("span", {class: "cell-sub"}, r.error || r.summary || "")], ["Took", (r) => (r.durationMs ? span(r.durationMs) : "")], ["When", (r) => ago(r.ts)]], "Last runs")) : null]});
}
