/*
 * tests/browser/lib.mjs - what the cases share: a browser, a gateway and a fake model that serve.py started, axe, pictures.
 * A case waits for what it wants to see; nothing here is a time limit in disguise but WAIT, after which a wait has failed.
 */
import {existsSync, mkdirSync, readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {chromium} from "playwright-core";

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const WAIT = 60000;
export const TOKEN = process.env.GATEWAY_TOKEN;
export const PAGE = process.env.GATEWAY_URL.replace(/^ws/, "http");
const MODEL = process.env.MODEL_URL, SHOTS = process.env.BROWSER_SHOTS;
if (SHOTS) mkdirSync(SHOTS, {recursive: true});

export function fail(text) {
    throw new Error(text);
}

export function equal(got, want, what) {
    if (JSON.stringify(got) !== JSON.stringify(want)) fail(`${what}: ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
}

export function truth(x, what) {
    if (!x) fail(what);
}

export async function launch() {
    const path = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync) || fail("chromium is not installed: scripts/setup installs it");
    return chromium.launch({executablePath: path, args: ["--no-sandbox", "--disable-gpu"]});
}

/* A browser's profile of its own: it is a new device for the gateway. What goes wrong in the page fails the case. */
export async function visitor(browser, options = {}) {
    const context = await browser.newContext({viewport: {width: 1280, height: 860}, reducedMotion: "reduce", ...options});
    context.setDefaultTimeout(WAIT);
    const page = await context.newPage();
    const bad = [], requests = [];
    page.on("pageerror", (e) => bad.push(`error in the page: ${e.message}`));
    page.on("console", (m) => m.type() === "error" && !/ERR_CONNECTION_REFUSED|WebSocket connection|status of 404/.test(m.text()) && bad.push(`console: ${m.text()}`));
    page.on("request", (r) => requests.push(r.url()));
    return {context, page, requests, async close() {
        await context.close();
        if (bad.length) fail(bad.join("\n"));
    }};
}

/* Through the door with the token typed in. */
export async function enter(page, path = "/") {
    await page.goto(PAGE + path);
    await page.fill("#secret", TOKEN);
    await page.click("button[type=submit]");
    await page.waitForSelector("main.main");
}

export async function say(page, text) {
    await page.fill("#message", text);
    await page.press("#message", "Enter");
}

/* The last answer that is complete. */
export const answer = (page, text) => page.locator(".msg.assistant:not(.live)", {hasText: text}).last().waitFor();

export async function shot(page, name) {
    if (SHOTS) await page.screenshot({path: join(SHOTS, `${name}.png`)});
}

/* No serious or critical finding, and nothing to scroll sideways. */
export async function sound(page, where) {
    await page.evaluate(AXE); /* by the debugger's way: the policy of the page allows no foreign script */
    const found = await page.evaluate(async () => (await globalThis.axe.run(document, {resultTypes: ["violations"]})).violations
        .filter((v) => v.impact === "serious" || v.impact === "critical")
        .map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.html.slice(0, 160)} ${n.failureSummary.split("\n")[1] || ""}`).join(" | ")}`));
    if (found.length) fail(`axe on ${where}:\n  ${found.join("\n  ")}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) fail(`${where} scrolls sideways by ${over} pixels`);
}

/* ---- the fake model, and the processes of the gateway ---- */

export async function gate(name) {
    await fetch(`${MODEL}/gate`, {method: "POST", body: JSON.stringify({name})});
}

export async function modelSees(prompt, state) {
    const r = await fetch(`${MODEL}/wait?${new URLSearchParams({prompt, state, timeout: WAIT / 1000})}`);
    truth(r.ok, `the model never saw ${prompt} ${state}`);
}

function procStat(pid) {
    try {
        const text = readFileSync(`/proc/${pid}/stat`, "utf8");
        return {comm: text.slice(text.indexOf("(") + 1, text.lastIndexOf(")")), ppid: Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1])};
    } catch {
        return null;
    }
}

/* Ends the worker of a kind, as a crash would. */
export async function kill(kind) {
    const {readdirSync} = await import("node:fs");
    const gateway = Number(process.env.GATEWAY_PID);
    const pids = readdirSync("/proc").filter((n) => /^\d+$/.test(n)).map(Number).filter((pid) => {
        const s = procStat(pid);
        return s && s.ppid === gateway && s.comm.includes(kind);
    });
    truth(pids.length, `there is no ${kind}`);
    for (const pid of pids) process.kill(pid, "SIGKILL");
}
