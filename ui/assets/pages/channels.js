/* pages/channels.js - the chat platforms: whether each account is up, what happened last, and what one can do with it. */
import {ago, ask, dateTime, errorText, h, toast} from "../lib/dom.js";
import {head, none, reading, tag} from "./kit.js";

const on = (a) => (a.enabled === false ? ["switched off", ""] : a.connected || (a.running && a.connected === undefined && !a.lastError) ? ["connected", "ok"] : a.lastError ? ["in trouble", "err"] : a.running ? ["connecting", "warn"] : a.configured === false ? ["not set up", ""] : ["stopped", ""]);

export default function channels(gw) {
    let probing = false;
    const act = (method, params, done, again) => async () => {
        try {
            const got = await gw.ask(method, params, 60000);
            toast(got.outcome?.reason || done);
        } catch (e) {
            toast(errorText(e), "err");
        }
        again();
    };
    const button = (method, label, f, danger) => (gw.has(method) && gw.may("admin") ? h("button", {type: "button", class: `button small${danger ? " danger" : ""}`, onclick: f}, label) : null);
    const account = (id, label, a, again) => h("li", {class: "card account"}, h("header", {class: "row"}, h("h3", {}, label, a.accountId && a.accountId !== "default" ? ` · ${a.name || a.accountId}` : ""), tag(...on(a))),
        a.lastError && !a.connected ? h("p", {class: "notice err"}, a.lastError) : null,
        h("dl", {class: "facts"}, [["Came in", a.lastInboundAt], ["Went out", a.lastOutboundAt], ["Connected", a.lastConnectedAt], ["Checked", a.lastProbeAt]].filter(([, t]) => t).map(([k, t]) => [h("dt", {}, k), h("dd", {}, h("time", {title: dateTime(t)}, ago(t)))]),
            a.reconnectAttempts ? [h("dt", {}, "Tries to reconnect"), h("dd", {}, a.reconnectAttempts)] : null, a.dmPolicy ? [h("dt", {}, "Who may write"), h("dd", {}, a.dmPolicy)] : null),
        h("div", {class: "row"}, button("channels.status", "Check now", async () => {
            probing = true;
            await again();
            probing = false;
        }), a.running ? button("channels.stop", "Stop", act("channels.stop", {channel: id, accountId: a.accountId}, "Stopped.", again)) : button("channels.start", "Start", act("channels.start", {channel: id, accountId: a.accountId}, "Started.", again)),
        button("channels.logout", "Log out", async () => {
            if (await ask({title: "Log out?", body: `${label} forgets its login and has to be set up again.`, ok: "Log out", danger: true})) await act("channels.logout", {channel: id, accountId: a.accountId}, "Logged out.", again)();
        }, true)));
    const asks = (list, again) => (list?.requests?.length ? h("section", {class: "card"}, h("h2", {}, "People who ask to write"), h("ul", {class: "plain"}, list.requests.map((r) => h("li", {class: "row"}, h("b", {}, r.senderName || r.senderId), h("span", {class: "soft"}, r.channel), h("span", {class: "grow"}),
        button("channels.pairing.approve", "Let in", act("channels.pairing.approve", {channel: r.channel, accountId: r.accountId, requestId: r.requestId}, "Let in.", again)),
        button("channels.pairing.dismiss", "Dismiss", act("channels.pairing.dismiss", {channel: r.channel, accountId: r.accountId, requestId: r.requestId}, "Dismissed.", again)))))) : null);
    return reading(gw, {every: 5000,
        load: async () => ({s: await gw.ask("channels.status", {probe: probing, timeoutMs: 8000}), pairing: gw.has("channels.pairing.list") ? await gw.ask("channels.pairing.list").catch(() => null) : null}),
        draw: ({s, pairing}, again) => {
            const ids = s.channelOrder?.length ? s.channelOrder : Object.keys(s.channelAccounts || {});
            const rows = ids.flatMap((id) => (s.channelAccounts?.[id] || []).map((a) => account(id, s.channelLabels?.[id] || id, a, again)));
            return [head("Channels", "Where people reach your agents."), asks(pairing, again), (s.statusIssues || []).map((i) => h("p", {class: "notice warn"}, h("b", {}, `${i.channel} ${i.accountId}: `), i.message, i.fix ? ` ${i.fix}` : "")),
                rows.length ? h("ul", {class: "accounts"}, rows) : none("No channel is set up", "Add one under ", h("a", {href: "#/config/channels"}, "Settings, channels"), ".")];
        }});
}
