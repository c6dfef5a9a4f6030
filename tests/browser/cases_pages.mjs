/* tests/browser/cases_pages.mjs - every page: nothing axe calls serious, nothing to scroll sideways, in both sizes and lights. */
import {readFileSync, writeFileSync} from "node:fs";
import {answer, enter, equal, kill, PAGE, say, shot, sound, TOKEN, truth, visitor} from "./lib.mjs";

/* The pages as the shell has them: a new one is in the test by being there. */
async function pages(page) {
    return page.evaluate(() => import(`${location.origin}/assets/shell.js`).then((m) => m.GROUPS.flatMap((g) => g.pages.map((p) => p.id))));
}

async function all(browser, name, options) {
    const v = await visitor(browser, options);
    await enter(v.page, "/#/chat/agent:main:pages");
    await say(v.page, "for the pages [fake ok chunks=3 text=page]");
    await answer(v.page, "page2");
    for (const id of await pages(v.page)) {
        await v.page.goto(`${PAGE}/#/${id}`);
        await v.page.locator(`main.at-${id} h1`).first().waitFor();
        await v.page.waitForLoadState("networkidle");
        equal(await v.page.locator("main .notice.err").allInnerTexts(), [], `errors on ${id}`);
        await sound(v.page, `${id}, ${name}`);
        await shot(v.page, `${name}_${id}`);
    }
    await v.close();
}

export const light = (browser) => all(browser, "light", {});
export const dark = (browser) => all(browser, "dark", {colorScheme: "dark"});
export const on_a_phone = (browser) => all(browser, "phone", {viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true});

export async function unknown_address(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/no-such-page");
    await v.page.getByText("Nothing lives at this address").waitFor();
    await sound(v.page, "an unknown address");
    const r = await v.page.goto(`${PAGE}/no/such/file`);
    equal(r.status(), 404, "status");
    truth((await v.page.innerText("body")).includes("There is no such page"), "no word of it");
    await sound(v.page, "the 404");
    await v.close();
}

/* The overview follows what happens: a front that is killed is counted as started again. */
export async function overview_is_live(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/overview");
    await v.page.locator(".proc", {hasText: "Front"}).waitFor();
    equal(await v.page.locator(".proc").count() >= 3, true, "processes");
    truth(!(await v.page.locator(".proc", {hasText: "Agent"}).innerText()).includes("NaN"), "a number is missing");
    await kill("agent");
    await v.page.waitForFunction(() => [...document.querySelectorAll(".proc")].some((p) => p.innerText.includes("Agent") && /Restarts\s*[1-9]/.test(p.innerText)));
    await v.close();
}

export async function logs(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/logs");
    await v.page.locator(".log li", {hasText: "gateway.ready"}).waitFor();
    truth(/^\d\d:\d\d:\d\d$/.test(await v.page.locator(".log time").first().innerText()), "times without seconds");
    await v.page.fill("input[aria-label='Filter the log']", "gateway.ready");
    await v.page.waitForFunction(() => [...document.querySelectorAll(".log li")].every((l) => l.textContent.includes("gateway.ready")));
    await v.page.fill("input[aria-label='Filter the log']", "");
    await v.page.getByRole("button", {name: "Pause"}).click();
    const before = await v.page.locator(".log li").count();
    await kill("agent");
    await v.page.getByText(/new lines wait/).waitFor();
    equal(await v.page.locator(".log li").count(), before, "lines while paused");
    await v.page.getByRole("button", {name: "Go on"}).click();
    await v.page.waitForFunction((n) => document.querySelectorAll(".log li").length > n, before);
    await v.close();
}

export async function device_removed(browser) {
    const a = await visitor(browser), b = await visitor(browser);
    await enter(a.page);
    await enter(b.page, "/#/devices");
    const me = await a.page.evaluate(() => import(`${location.origin}/assets/lib/identity.js`).then((m) => m.device()).then((d) => d.id.slice(0, 12)));
    await b.page.locator("tr", {hasText: me}).getByRole("button", {name: "Remove"}).click();
    await b.page.locator("dialog").getByRole("button", {name: "Remove"}).click();
    await a.page.waitForSelector("#secret"); /* its token is good no more: it asks again */
    await a.close();
    await b.close();
}

/* A client of its own inside the page that hears of the next change of the configuration. */
const listen = (page) => page.evaluate(async () => {
    const {Gateway} = await import(`${location.origin}/assets/lib/rpc.js`);
    const gw = new Gateway();
    await new Promise((r) => {
        gw.addEventListener("state", () => gw.state === "ready" && r());
        gw.open();
    });
    window.changed = new Promise((r) => gw.on("config.changed", () => r(true)));
});

/* The configuration file as f makes it, while run goes; then as it was. page: of somebody who is connected. */
async function with_file(page, f, run) {
    const file = process.env.GATEWAY_CONFIG, before = readFileSync(file, "utf8");
    const write = async (text) => {
        await listen(page);
        writeFileSync(file, text);
        await page.evaluate(() => window.changed);
    };
    await write(JSON.stringify(f(JSON.parse(before.replace(/^\s*\/\/.*$/gm, "")))));
    try {
        await run();
    } finally {
        await write(before);
    }
}

/* A browser that is not let in by itself waits, says what to do, and goes on once somebody lets it in. */
export async function pairing(browser) {
    const a = await visitor(browser), b = await visitor(browser);
    await enter(a.page);
    await with_file(a.page, (doc) => ({...doc, gateway: {...doc.gateway, nodes: {pairing: {autoApproveLocal: false}}}}), async () => {
        await b.page.goto(`${PAGE}/#token=${TOKEN}`);
        await b.page.getByText("Waiting for approval").waitFor();
        truth(/openclawctl devices approve [\w-]+/.test(await b.page.innerText("main")), "no word what to do");
        await sound(b.page, "the wait for approval");
        await shot(b.page, "pairing_wait");
        await a.page.locator(".toast a").first().click();
        await a.page.locator(".account.ask").waitFor();
        await sound(a.page, "a device that waits");
        await shot(a.page, "pairing_asked");
        await a.page.getByRole("button", {name: "Let in"}).click();
        await b.page.waitForSelector("#message");
    });
    await a.close();
    await b.close();
}

/* On a gateway without a model the page opens with the first steps, and the demo answers meanwhile. */
export async function first_run(browser) {
    const a = await visitor(browser), b = await visitor(browser);
    await enter(a.page);
    await with_file(a.page, (doc) => ({gateway: doc.gateway}), async () => {
        await b.page.goto(`${PAGE}/#token=${TOKEN}`);
        await b.page.getByText("A model that answers").waitFor();
        await sound(b.page, "the first run");
        await shot(b.page, "first_run");
        await b.page.getByRole("button", {name: "Say hello"}).click();
        await b.page.locator(".rows.mini .msg.assistant:not(.live)", {hasText: "demo"}).waitFor();
        await shot(b.page, "first_run_demo");
    });
    await a.close();
    await b.close();
}
