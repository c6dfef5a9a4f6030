/* tests/browser/cases_canvas.mjs - the canvas in a browser: pages load themselves anew, and stay in their sandbox. */
import {mkdirSync, writeFileSync} from "node:fs";
import {dirname, join} from "node:path";
import {enter, equal, truth, visitor} from "./lib.mjs";

const FOLDER = join(dirname(process.env.GATEWAY_CONFIG), "state", "canvas");

function put(name, text) {
    mkdirSync(dirname(join(FOLDER, name)), {recursive: true});
    writeFileSync(join(FOLDER, name), text);
}

/* The canvas's address for a connection of the control page, which stays open. */
async function address(page) {
    await enter(page);
    return page.evaluate(async () => {
        const {Gateway} = await import(`${location.origin}/assets/lib/rpc.js`);
        const gw = window.kept = new Gateway();
        await new Promise((r) => {
            gw.addEventListener("state", () => gw.state === "ready" && r());
            gw.open();
        });
        localStorage.setItem("of the control page", "secret");
        return (await gw.ask("plugin.surface.refresh", {surface: "canvas"})).pluginSurfaceUrls.canvas;
    });
}

export async function loads_itself_anew(browser) {
    const v = await visitor(browser);
    const url = `${await address(v.page)}/__openclaw__/canvas/`;
    const canvas = await v.context.newPage();
    const waits = canvas.waitForEvent("websocket");
    await canvas.goto(url);
    await canvas.getByRole("heading").waitFor();
    await waits;
    for (const text of ["two", "three"]) {
        put("index.html", `<!doctype html><h1>page ${text}</h1><img src="pic.svg" alt="">`);
        await canvas.getByRole("heading", {name: `page ${text}`}).waitFor();
    }
    put("pic.svg", "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"); // what a page loads, too
    await canvas.waitForFunction(() => document.querySelector("img")?.naturalWidth === 9);
    await v.close();
}

const SPY = `
export const found = {};
const tried = async (name, fn) => { try { found[name] = String(await fn()); } catch (e) { found[name] = e.name; } };
await tried("storage", () => localStorage.length);
await tried("cookie", () => document.cookie);
await tried("worker", () => navigator.serviceWorker.register("sw.js"));
await tried("opener", () => window.opener?.document.title ?? "none");
await tried("own", async () => (await (await fetch("data.json")).json()).x);
await tried("api", async () => (await fetch("/v1/models")).status);
await tried("page", async () => (await fetch("/")).status);
await tried("socket", () => new Promise((r) => {
    const ws = new WebSocket(location.origin.replace("http", "ws") + "/");
    let seen = "";
    ws.onmessage = (e) => {
        const f = JSON.parse(e.data);
        seen += f.event ?? f.error?.code ?? "in";
        if (f.event) ws.send(JSON.stringify({type: "req", id: "1", method: "connect", params: {minProtocol: 4, maxProtocol: 4,
            role: "operator", scopes: ["operator.read"], client: {id: "openclaw-control-ui", version: "1", platform: "web", mode: "webchat"}, auth: {token: "guess"}}}));
    };
    ws.onclose = () => r(seen);
}));
await tried("bridge", () => typeof window.openclawSendUserAction + openclawSendUserAction({name: "x"}));
document.body.dataset.found = JSON.stringify({...found, origin: self.origin});
`;

export async function stays_in_its_sandbox(browser) {
    const v = await visitor(browser);
    const url = `${await address(v.page)}/__openclaw__/canvas/`;
    put("spy.mjs", SPY);
    put("data.json", '{"x": 42}');
    put("spy.html", "<!doctype html><title>spy</title><body><script type=module src=spy.mjs></script>");
    const canvas = await v.context.newPage();
    await canvas.goto(`${url}spy.html`);
    const found = JSON.parse(await (await canvas.waitForFunction(() => document.body?.dataset.found)).jsonValue());
    equal(found.origin, "null", "its origin");
    for (const what of ["storage", "cookie", "worker"]) truth(/^(SecurityError|TypeError)$/.test(found[what]), `${what}: ${found[what]}`);
    equal([found.opener, found.own, found.api, found.page], ["none", "42", "TypeError", "TypeError"], "what it reads");
    truth(!found.socket.endsWith("in"), `a socket: ${found.socket}`);
    equal(found.bridge, "functionfalse", "the bridge to an app");
    await v.close();
}
