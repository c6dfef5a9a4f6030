/*
 * door.js - what stands before the pages: connecting, the token, the wait for approval, and why it cannot work here.
 */
import {copyText, h, icon, iconButton, MARK, put} from "./lib/dom.js";

const TITLE = {locked: "Welcome", waiting: "Almost there", refused: "This browser cannot connect", connecting: "Connecting"};

function hint(command) {
    return h("div", {class: "command"}, h("code", {}, command), iconButton("copy", "Copy this command", (e) => copyText(command, e.currentTarget)));
}

function locked(gw) {
    const r = gw.reason || {}, password = /PASSWORD/.test(r.code);
    const word = password ? "password" : "token";
    const wrong = r.code === "AUTH_RATE_LIMITED" ? "Too many wrong tries from here. The gateway takes no more for a few minutes." :
        r.typed ? `That is not this gateway's ${word}.` : /DEVICE_TOKEN|SCOPE/.test(r.code) ? "This browser was known, but its access has ended. Enter the token again." : "";
    const input = h("input", {id: "secret", name: "secret", type: "password", autocomplete: "current-password", required: true, spellcheck: false,
                              "aria-describedby": "secret-help" + (wrong ? " secret-wrong" : ""), "aria-invalid": wrong ? "true" : null});
    setTimeout(() => input.focus(), 0);
    return [h("p", {}, `Enter the gateway's ${word} once. This browser then gets a key of its own and will not ask again.`),
        h("form", {onsubmit: (e) => {
            e.preventDefault();
            const secret = input.value.trim();
            if (secret) gw.unlock(secret);
        }},
        h("label", {class: "field", htmlFor: "secret"}, h("span", {}, password ? "Password" : "Token"), input),
        wrong && h("p", {class: "bad", id: "secret-wrong", role: "alert"}, icon("warn", 18), wrong),
        h("button", {class: "button primary wide", type: "submit"}, "Connect")),
        h("p", {class: "soft", id: "secret-help"}, "On the gateway's machine this prints an address that goes in without asking:"), hint("openclawctl page --with-token")];
}

function waiting(gw) {
    const r = gw.reason, id = r.details.requestId;
    const words = {"scope-upgrade": "It asks for more rights than it has now.", "metadata-upgrade": "It looks different from when it was approved.",
                   "role-upgrade": "It asks for a role it does not have yet."}[r.details.reason] || "The gateway does not know this browser yet.";
    return [h("p", {}, words, " Somebody who may has to approve it; this page goes on by itself then."),
        h("p", {class: "soft"}, "On the gateway's machine:"), hint(id ? `openclawctl devices approve ${id}` : "openclawctl devices list"),
        h("p", {class: "soft"}, "or on a connected control page under Connect, Devices."),
        h("dl", {class: "facts"}, h("dt", {}, "This browser"), h("dd", {}, h("code", {}, (r.deviceId || "").slice(0, 16) + "…")),
          id && h("dt", {}, "Request"), id && h("dd", {}, h("code", {}, id))),
        h("p", {class: "work"}, h("span", {class: "dots"}, h("i"), h("i"), h("i")), "Waiting for approval")];
}

function refused(gw) {
    const r = gw.reason || {};
    switch (r.code) {
    case "insecure":
    case "CONTROL_UI_DEVICE_IDENTITY_REQUIRED":
        return [h("p", {}, "Browsers give keys only to pages that came over HTTPS or from this machine itself. Three ways out:"),
            h("ul", {}, h("li", {}, "open ", h("code", {}, `http://127.0.0.1:${location.port || 18789}/`), " on the gateway's machine;"),
              h("li", {}, "set ", h("code", {}, "gateway.tls.enabled: true"), " and open ", h("code", {}, `https://${location.host}/`), ";"),
              h("li", {}, "forward the port: ", h("code", {}, `ssh -L 18789:127.0.0.1:${location.port || 18789} HOST`), "."))];
    case "no-ed25519":
        return [h("p", {}, "This browser knows no Ed25519 keys. Chrome or Edge 137, Firefox 129 and Safari 17 do, and all later ones.")];
    case "no-storage":
        return [h("p", {}, "This browser keeps no data for the page, so it cannot keep its key. Leave private browsing or allow site data.")];
    case "CONTROL_UI_ORIGIN_NOT_ALLOWED":
        return [h("p", {}, "The gateway does not know the name in this page's address. Add it to its configuration:"),
            hint(`gateway: { controlUi: { allowedOrigins: ["${location.origin}"] } }`)];
    case "PROTOCOL_MISMATCH":
        return [h("p", {}, "This page and the gateway are of different versions."),
            h("button", {class: "button primary", type: "button", onclick: () => location.reload()}, "Load the page again")];
    default:
        return [h("p", {}, "The gateway refused: ", r.message || r.code || "no reason given")];
    }
}

export function door(gw, app) {
    const body = gw.state === "locked" ? locked(gw) : gw.state === "waiting" ? waiting(gw) : gw.state === "refused" ? refused(gw) :
        [h("p", {class: "work"}, h("span", {class: "dots"}, h("i"), h("i"), h("i")), gw.reason?.tries ? "The gateway does not answer. Trying again…" : "Talking to the gateway")];
    put(app, h("div", {class: "door"}, h("main", {class: "door-card", id: "main", tabIndex: -1},
        h("img", {src: MARK, alt: "", width: 52, height: 52}), h("h1", {}, TITLE[gw.state] || "OpenClaw"), body)));
    document.title = `${TITLE[gw.state] || "OpenClaw"} · OpenClaw`;
}
