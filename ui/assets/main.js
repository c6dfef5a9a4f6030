/*
 * main.js - the page begins: secrets leave the address bar, the connection is made, the shell shows what it says.
 */
import {Gateway} from "./lib/rpc.js";
import {startShell} from "./shell.js";

/* "#token=…" and "#bootstrapToken=…" are taken once and are gone from the address before anything else happens;
 * a query is never read, only removed. */
function takeFragment(gw) {
    const given = new URLSearchParams(location.hash.slice(1).replace(/^\//, ""));
    const token = given.get("token"), bootstrap = given.get("bootstrapToken");
    if (token || bootstrap || location.search)
        history.replaceState(null, "", location.pathname + (token || bootstrap ? "" : location.hash));
    if (token) gw.secret = token;
    if (bootstrap) gw.bootstrap = bootstrap;
}

const gw = new Gateway();
takeFragment(gw);
try {
    document.documentElement.dataset.theme = localStorage.getItem("theme") || "";
} catch { /* no storage: the system's choice holds */ }
startShell(gw, {only: location.pathname.replace(/\/+$/, "") === "/chat" ? "chat" : null});
gw.open();
