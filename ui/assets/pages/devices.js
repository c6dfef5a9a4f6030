/* pages/devices.js - browsers, phones and nodes: who asks to be let in, who is in, and how to end that. */
import {ago, ask, dateTime, errorText, h, icon, toast} from "../lib/dom.js";
import {device} from "../lib/identity.js";
import {head, none, reading, tableOf, tag} from "./kit.js";

const short = (scope) => scope.replace("operator.", "");

export default function devices(gw) {
    const act = (method, params, done, again) => async () => {
        try {
            await gw.ask(method, params);
            toast(done);
        } catch (e) {
            toast(errorText(e), "err");
        }
        again();
    };
    const sure = (title, body, ok, f) => async () => {
        if (await ask({title, body, ok, danger: true})) await f();
    };
    const wait = (r, again) => h("li", {class: "card account ask"}, h("header", {class: "row"}, icon("device", 22), h("h3", {}, r.displayName || r.clientId || "A device"), r.isRepair ? tag("known, asks for more", "warn") : tag("new", "brand")),
        h("dl", {class: "facts"}, h("dt", {}, "From"), h("dd", {}, r.remoteIp || "unknown"), h("dt", {}, "Platform"), h("dd", {}, r.platform || "unknown"), h("dt", {}, "Wants"), h("dd", {}, [...(r.roles || [r.role]), ...(r.scopes || []).map(short)].filter(Boolean).join(", ")),
            h("dt", {}, "Asked"), h("dd", {}, ago(r.ts)), h("dt", {}, "Key"), h("dd", {}, h("code", {}, r.deviceId.slice(0, 16)))),
        h("div", {class: "row"}, h("button", {type: "button", class: "button primary", onclick: act("device.pair.approve", {requestId: r.requestId}, "Let in.", again)}, "Let in"),
            h("button", {type: "button", class: "button", onclick: act("device.pair.reject", {requestId: r.requestId}, "Turned away.", again)}, "Turn away")));
    const name = (d) => d.label || d.displayName || d.clientId || d.deviceId.slice(0, 12);
    const paired = (list, me, again) => tableOf(list, [
        ["Device", (d) => h("div", {}, h("span", {class: "cell-title"}, name(d), d.deviceId === me ? [" ", tag("this browser", "brand")] : null), h("span", {class: "cell-sub"}, [d.platform, d.deviceFamily, d.deviceId.slice(0, 12)].filter(Boolean).join(" · ")))],
        ["Now", (d) => (d.connected ? tag("connected", "ok") : h("span", {class: "soft", title: d.lastSeenAtMs ? dateTime(d.lastSeenAtMs) : ""}, d.lastSeenAtMs ? ago(d.lastSeenAtMs) : "never"))],
        ["Role", (d) => (d.roles || [d.role]).join(", ")],
        ["May", (d) => h("span", {class: "cell-sub"}, (d.scopes || []).map(short).join(", ") || "what its role needs")],
        ["", (d) => h("div", {class: "row end"}, h("button", {type: "button", class: "button small", onclick: async () => {
            const a = await ask({title: "Name this device", fields: [{name: "label", label: "Name", value: name(d), max: 64}], ok: "Save"});
            if (a?.label.trim()) await act("device.pair.rename", {deviceId: d.deviceId, label: a.label.trim()}, "Named.", again)();
        }}, "Name"), h("button", {type: "button", class: "button small danger", onclick: sure("Remove this device?", `${name(d)} is disconnected and has to be approved again.${d.deviceId === me ? " It is the browser you use now." : ""}`, "Remove", act("device.pair.remove", {deviceId: d.deviceId}, "Removed.", again))}, "Remove")), "acts-cell"],
    ], "Paired devices");
    const nodes = (list) => (list?.nodes?.length ? h("section", {}, h("h2", {}, "Nodes"), tableOf(list.nodes, [
        ["Node", (n) => h("div", {}, h("span", {class: "cell-title"}, n.displayName || n.nodeId.slice(0, 12)), h("span", {class: "cell-sub"}, [n.platform, n.version].filter(Boolean).join(" · ")))],
        ["Now", (n) => (n.connected ? tag("connected", "ok") : tag("away", ""))], ["State", (n) => n.approvalState || (n.paired ? "approved" : "asks")], ["Can", (n) => h("span", {class: "cell-sub"}, (n.commands || []).join(", "))]], "Nodes")) : null);
    return reading(gw, {every: 15000, events: ["device.pair.requested", "device.pair.resolved", "device.pair.changed", "node.pair.requested", "node.pair.resolved", "presence"],
        load: async () => {
            const [pair, list, me] = await Promise.all([gw.ask("device.pair.list"), gw.has("node.list") ? gw.ask("node.list").catch(() => null) : null, device()]);
            return {pair, list, me: me.id};
        },
        draw: ({pair, list, me}, again) => [head("Devices", "Everything that connects has a key of its own. New ones from elsewhere wait here until you let them in."),
            pair.pending.length ? h("section", {}, h("h2", {}, "Waiting to be let in"), h("ul", {class: "accounts"}, pair.pending.map((r) => wait(r, again)))) : null,
            pair.paired.length ? h("section", {}, h("h2", {}, "Paired"), paired(pair.paired, me, again)) : none("No devices yet", "This page is the first."), nodes(list)]});
}
