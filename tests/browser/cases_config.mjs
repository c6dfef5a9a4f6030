/* tests/browser/cases_config.mjs - the configuration page: a bad value, a good one, clearing, the text, taking it back. */
import {enter, equal, PAGE, shot, sound, truth, visitor} from "./lib.mjs";

const rpc = (page, method, params) => page.evaluate(async ([m, p]) => {
    const {Gateway} = await import(`${location.origin}/assets/lib/rpc.js`);
    const gw = new Gateway();
    await new Promise((r) => {
        gw.addEventListener("state", () => gw.state === "ready" && r());
        gw.open();
    });
    try {
        return await gw.ask(m, p);
    } finally {
        gw.drop();
    }
}, [method, params || {}]);

const setting = (page, key) => page.locator(".setting", {has: page.locator(`[id="set-${key}"]`)});
const input = (page, key) => page.locator(`[id="set-${key}"]`);

async function save(page) {
    await page.getByRole("button", {name: "Review and save"}).click();
    await page.locator("dialog .changes, dialog .diff").waitFor();
    await page.locator("dialog").getByRole("button", {name: "Save"}).click();
}

export async function a_bad_value_then_a_good_one(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/config");
    await v.page.fill("input[aria-label='Search settings']", "maxConcurrent");
    const key = "agents.defaults.maxConcurrent";
    await input(v.page, key).fill("many");
    await input(v.page, key).blur();
    await save(v.page);
    await setting(v.page, key).locator(".bad").waitFor();
    equal(await input(v.page, key).getAttribute("aria-invalid"), "true", "marked as invalid");
    equal(await input(v.page, key).inputValue(), "many", "what was typed");
    await sound(v.page, "a refused setting");
    await shot(v.page, "config_bad_value");
    equal((await rpc(v.page, "config.get")).parsed.agents.defaults.maxConcurrent, 4, "the setting");
    await input(v.page, key).fill("6");
    await input(v.page, key).blur();
    await save(v.page);
    await v.page.getByText("Saved. It is in force.").waitFor();
    equal((await rpc(v.page, "config.get")).parsed.agents.defaults.maxConcurrent, 6, "the setting");
    /* cleared: it leaves the file */
    await setting(v.page, key).getByRole("button", {name: `Clear ${key}`}).click();
    await v.page.locator(".savebar").waitFor();
    await shot(v.page, "config_clear");
    await save(v.page);
    await v.page.waitForFunction(() => !document.querySelector(".savebar:not([hidden])"));
    equal((await rpc(v.page, "config.get")).parsed.agents.defaults.maxConcurrent, undefined, "the cleared setting");
    /* and back */
    await v.page.getByRole("button", {name: "Take back the last save"}).click();
    await v.page.locator("dialog .diff .t-plus").first().waitFor();
    await sound(v.page, "the question before taking back");
    await shot(v.page, "config_take_back");
    await v.page.locator("dialog").getByRole("button", {name: "Take back"}).click();
    await v.page.waitForFunction(() => !document.querySelector("dialog"));
    await v.page.waitForFunction((k) => document.getElementById(`set-${k}`)?.value === "6", key);
    await v.close();
}

/* What is for the file only says so and is locked; a secret is never shown. */
export async function locked_and_hidden(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/config/gateway");
    await v.page.locator("[id='set-gateway.bind']").waitFor();
    equal(await setting(v.page, "gateway.bind").locator("input, select, textarea").count(), 0, "inputs for gateway.bind");
    truth((await setting(v.page, "gateway.bind").innerText()).includes("file only"), "no word why");
    await v.page.goto(`${PAGE}/#/config/models`);
    await v.page.locator("[id='set-models.providers.mock.apiKey']").waitFor();
    equal(await input(v.page, "models.providers.mock.apiKey").inputValue(), "", "the key's input");
    truth(!(await v.page.content()).includes("mock-key"), "the key is in the page");
    await sound(v.page, "the form of a section");
    await v.close();
}

export async function as_text(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/config");
    await v.page.getByRole("button", {name: "Text"}).click();
    const area = v.page.locator("textarea.editor");
    const before = await area.inputValue();
    await area.fill(before.replace(/\}\s*$/, ', "nonsense": }'));
    await save(v.page);
    await v.page.locator(".notice.err", {hasText: "JSON5"}).waitFor();
    await sound(v.page, "the text with an error");
    await v.page.locator("textarea.editor").fill(before.replace("{", '{\n  // chosen here\n  "logging": {"level": "info"},'));
    await save(v.page);
    await v.page.getByText("Saved. It is in force.").waitFor();
    const now = await rpc(v.page, "config.get");
    equal(now.parsed.logging.level, "info", "the setting");
    truth(now.raw.includes("// chosen here"), "the comment is gone");
    truth((await rpc(v.page, "config.get")).parsed.models.providers.mock.apiKey === "__OPENCLAW_REDACTED__", "the key is gone");
    await v.close();
}

/* Two pages change it at once: the second hears of it and keeps what was typed. */
export async function changed_meanwhile(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/config");
    await v.page.fill("input[aria-label='Search settings']", "timeoutSeconds");
    const key = "agents.defaults.timeoutSeconds";
    await input(v.page, key).fill("601");
    await input(v.page, key).blur();
    const got = await rpc(v.page, "config.get");
    await rpc(v.page, "config.patch", {raw: "{agents:{defaults:{maxConcurrent:5}}}", baseHash: got.hash});
    await save(v.page);
    await v.page.getByText(/changed meanwhile/).waitFor();
    equal(await input(v.page, key).inputValue(), "601", "what was typed");
    await save(v.page);
    await v.page.getByText("Saved. It is in force.").waitFor();
    const now = (await rpc(v.page, "config.get")).parsed.agents.defaults;
    equal([now.timeoutSeconds, now.maxConcurrent], [601, 5], "both changes");
    await v.close();
}

/* First steps: a service with its key, and the first answer comes from it. */
export async function first_steps(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/start");
    await v.page.getByRole("button", {name: "Add another one"}).click();
    await v.page.check("[name=maker][value=custom]");
    await v.page.fill("[name=baseUrl]", `${process.env.MODEL_URL}/v1`);
    await v.page.fill("[name=model]", "first-1");
    await v.page.fill("[name=key]", "key-of-first-steps");
    await sound(v.page, "first steps");
    await shot(v.page, "first_steps");
    await v.page.getByRole("button", {name: "Save and go on"}).click();
    await v.page.locator(".rows.mini .msg.assistant:not(.live)").waitFor();
    equal((await rpc(v.page, "agents.list")).agents[0].model.primary, "custom/first-1", "the default model");
    truth(!JSON.stringify(await rpc(v.page, "config.get")).includes("key-of-first-steps"), "the key is shown");
    await sound(v.page, "after the first answer");
    await shot(v.page, "first_steps_done");
    await v.close();
}

/* A first channel: its token goes to the gateway and is nowhere in the page; what the platform says comes back in words. */
export async function first_channel(browser) {
    const v = await visitor(browser), token = "123456789:AAEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    await enter(v.page, "/#/start");
    await v.page.fill("[name=botToken]", token);
    await shot(v.page, "first_channel");
    await v.page.getByRole("button", {name: "Save and connect"}).click();
    await v.page.getByText(/Telegram is asked|Telegram says no/).waitFor();
    truth(!(await v.page.content()).includes(token), "the token is in the page");
    truth(!await v.page.evaluate((t) => [...document.querySelectorAll("input")].some((i) => i.value === t), token), "the token is in an input");
    truth(!JSON.stringify(await rpc(v.page, "config.get")).includes(token), "the token is shown");
    equal((await rpc(v.page, "config.get")).parsed.channels.telegram.enabled, true, "the account");
    await sound(v.page, "a first channel");
    const got = await rpc(v.page, "config.get");
    await rpc(v.page, "config.patch", {raw: "{channels:{telegram:null}}", baseHash: got.hash});
    await v.close();
}

/* Who an agent is: written in the page, told to the model, not written over what another one wrote, not lost to a new reading. */
export async function agent_files(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/agents");
    await sound(v.page, "agents");
    await v.page.getByRole("button", {name: "SOUL.md"}).click();
    const area = v.page.getByRole("textbox", {name: "SOUL.md of main"});
    await area.fill("You are Ada.");
    await rpc(v.page, "config.get").then((got) => rpc(v.page, "config.patch", {raw: "{agents:{defaults:{maxConcurrent:8}}}", baseHash: got.hash}));
    await v.page.locator(".agent-files").waitFor();
    equal(await area.inputValue(), "You are Ada.", "what was typed");
    await sound(v.page, "a file of an agent");
    await shot(v.page, "agent_file");
    await v.page.getByRole("button", {name: "Save", exact: true}).click();
    await v.page.getByText("SOUL.md is saved").waitFor();
    equal((await rpc(v.page, "agents.files.get", {agentId: "main", name: "SOUL.md"})).file.content, "You are Ada.", "the file");
    await v.page.getByRole("button", {name: "SOUL.md"}).click();
    await area.fill("You are Bob.");
    await rpc(v.page, "agents.files.set", {agentId: "main", name: "SOUL.md", content: "You are Cleo."});
    await v.page.getByRole("button", {name: "Save", exact: true}).click();
    await v.page.getByText("SOUL.md was changed meanwhile").waitFor();
    await v.page.getByRole("button", {name: "Write over it"}).click();
    await v.page.getByText("SOUL.md is saved").last().waitFor();
    equal((await rpc(v.page, "agents.files.get", {agentId: "main", name: "SOUL.md"})).file.content, "You are Bob.", "the file");
    await rpc(v.page, "agents.files.set", {agentId: "main", name: "SOUL.md", content: ""});
    await v.close();
}
