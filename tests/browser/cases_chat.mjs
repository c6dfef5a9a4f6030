/* tests/browser/cases_chat.mjs - the door and the chat. */
import {answer, enter, equal, gate, kill, PAGE, say, shot, sound, TOKEN, truth, visitor} from "./lib.mjs";

export async function token_once(browser) {
    const v = await visitor(browser);
    await v.page.goto(PAGE + "/");
    await v.page.waitForSelector("#secret");
    await sound(v.page, "the door");
    await shot(v.page, "door");
    await v.page.fill("#secret", "not-the-token");
    await v.page.click("button[type=submit]");
    await v.page.waitForSelector("#secret-wrong");
    await v.page.fill("#secret", TOKEN);
    await v.page.click("button[type=submit]");
    await v.page.waitForSelector("#message");
    await v.page.reload();
    await v.page.waitForSelector("#message"); /* nothing was asked again */
    const kept = await v.page.evaluate(async () => {
        const out = [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie];
        for (const d of await indexedDB.databases()) {
            const db = await new Promise((r) => { indexedDB.open(d.name).onsuccess = (e) => r(e.target.result); });
            for (const s of db.objectStoreNames)
                for (const x of await new Promise((r) => { db.transaction(s).objectStore(s).getAll().onsuccess = (e) => r(e.target.result); }))
                    out.push(x?.privateKey ? `key extractable ${x.privateKey.extractable}` : JSON.stringify(x));
            db.close();
        }
        return out.join("\n");
    });
    truth(!kept.includes(TOKEN), "the gateway's token is kept in the browser");
    truth(kept.includes("key extractable false"), "the device's key can be read out");
    await v.close();
}

export async function token_in_fragment(browser) {
    const v = await visitor(browser);
    await v.page.goto(`${PAGE}/?gatewayUrl=ws://127.0.0.1:1/#token=${TOKEN}`);
    await v.page.waitForSelector("#message");
    equal(await v.page.evaluate(() => location.href), `${PAGE}/`, "the address");
    truth(!(await v.page.evaluate(() => history.length > 2)), "the token is in the history");
    await v.close();
}

export async function small_and_from_here(browser) {
    const v = await visitor(browser);
    let bytes = 0;
    const cdp = await v.context.newCDPSession(v.page);
    await cdp.send("Network.enable");
    cdp.on("Network.loadingFinished", (e) => { bytes += e.encodedDataLength; });
    await enter(v.page);
    await v.page.goto(`${PAGE}/#/overview`);
    await v.page.waitForSelector(".verdict");
    for (const url of v.requests) truth(url.startsWith(PAGE) || url.startsWith("blob:") || url.startsWith("data:"), `asks ${url}`);
    truth(bytes > 10000 && bytes < 100 * 1024, `chat and overview take ${bytes} bytes`);
    await v.close();
}

export async function without_javascript(browser) {
    const v = await visitor(browser, {javaScriptEnabled: false});
    await v.page.goto(PAGE + "/");
    truth((await v.page.innerText("body")).includes("needs JavaScript"), "no word without JavaScript");
    await v.close();
}

export async function keyboard(browser) {
    const v = await visitor(browser);
    await enter(v.page);
    await v.page.evaluate(() => { document.activeElement.blur(); });
    await v.page.mouse.click(1, 1);
    let tabs = 0;
    for (; tabs < 10 && !(await v.page.evaluate(() => document.activeElement.id === "message")); tabs++) await v.page.keyboard.press("Tab");
    truth(tabs < 10, "the message box takes ten Tabs or more");
    await v.page.keyboard.type("by keyboard [fake ok chunks=3 text=key]");
    await v.page.keyboard.press("Enter");
    await answer(v.page, "key2");
    await v.close();
}

export async function streamed_turn(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:stream");
    await v.page.waitForSelector("#message");
    await v.page.fill("#message", "stream this [fake ok chunks=6 gate=s1 at=3 text=piece]");
    /* the first sign of work: measured inside the page, from the key to the element */
    const took = await v.page.evaluate(() => new Promise((resolve) => {
        const began = performance.now(), box = document.getElementById("message");
        new MutationObserver((_, o) => {
            if (!document.querySelector(".msg.live .work")) return;
            o.disconnect();
            resolve(performance.now() - began);
        }).observe(document.body, {childList: true, subtree: true});
        box.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}));
    }));
    console.log(`      first sign of work after ${took.toFixed(1)} ms`);
    await v.page.locator(".msg.live", {hasText: "piece2"}).waitFor();
    await shot(v.page, "streaming");
    await sound(v.page, "a running answer");
    await gate("s1");
    await answer(v.page, "piece5");
    equal(await v.page.locator(".msg.user").count(), 1, "messages");
    equal(await v.page.locator(".msg.assistant").count(), 1, "answers");
    await shot(v.page, "answered");
    await v.close();
}

export async function stop(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:stop");
    await say(v.page, "long one [fake ok chunks=9 gate=st at=2 text=part]");
    await v.page.locator(".msg.live", {hasText: "part1"}).waitFor();
    await v.page.click("button.send.stop");
    await v.page.locator(".stopped").waitFor();
    await gate("st");
    await v.page.locator("button.send:not(.stop)").waitFor();
    await v.close();
}

export async function failure_and_retry(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:retry");
    await say(v.page, "once bad [fake 401 times=1 chunks=2 text=good]");
    await v.page.locator(".failed[role=group]", {hasText: "401"}).waitFor();
    await shot(v.page, "failed");
    await sound(v.page, "a failed turn");
    await v.page.click(".failed .button");
    await answer(v.page, "good1");
    await v.close();
}

/* Edit puts the text back into the box; what is sent is a new message. */
export async function edit_and_resend(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:edit");
    await say(v.page, "before [fake ok chunks=1 text=one]");
    await answer(v.page, "one0");
    await v.page.hover(".msg.user");
    await v.page.click(".msg.user [aria-label='Edit and send again']");
    equal(await v.page.inputValue("#message"), "before [fake ok chunks=1 text=one]", "the box");
    await say(v.page, "after [fake ok chunks=1 text=two]");
    await answer(v.page, "two0");
    equal(await v.page.locator(".msg.user").count(), 2, "messages");
    /* or in a copy from there, as if the rest had not been said; the old conversation stays */
    await v.page.hover(".msg.user >> nth=1");
    await v.page.click(".msg.user >> nth=1 >> [aria-label='Edit and send again']");
    await v.page.check(".editing input[type=checkbox]");
    await sound(v.page, "editing");
    await shot(v.page, "editing");
    await say(v.page, "instead [fake ok chunks=1 text=three]");
    await answer(v.page, "three0");
    truth(!v.page.url().includes("agent:main:edit") && !v.page.url().includes("agent%3Amain%3Aedit"), "it is the same conversation");
    equal(await v.page.locator(".msg.user").allInnerTexts().then((all) => all.map((t) => t.split(" ")[0])), ["before", "instead"], "messages of the copy");
    await v.page.goto(`${PAGE}/#/chat/agent:main:edit`);
    await answer(v.page, "two0");
    equal(await v.page.locator(".msg.user").count(), 2, "messages of the old one");
    await v.close();
}

/* A tool's call is one line that opens: while it runs, afterwards, and in the history. */
export async function tool_calls(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:tools");
    await say(v.page, "use it [fake call tool=sessions_list args={} chunks=2 text=look]");
    await answer(v.page, "result:");
    for (const when of ["at once", "in the history"]) {
        const tool = v.page.locator("details.tool", {hasText: "sessions_list"}).first();
        await tool.locator(".tool-state", {hasText: "done"}).waitFor();
        truth(!await tool.evaluate((el) => el.open), `${when}: it is not folded`);
        await tool.locator("summary").press("Enter");
        await tool.locator("pre", {hasText: '"sessions"'}).waitFor();
        await sound(v.page, `a tool call, ${when}`);
        if (when === "at once") {
            await shot(v.page, "tool_call");
            await v.page.reload();
        }
    }
    await v.close();
}

export async function slash_commands(browser) {
    const v = await visitor(browser);
    await enter(v.page);
    await v.page.locator(".msg, .hello h2").first().waitFor();
    await v.page.fill("#message", "/st");
    await v.page.waitForSelector("#commands [aria-selected=true]");
    await sound(v.page, "command completion");
    await v.page.press("#message", "ArrowDown");
    await v.page.press("#message", "Tab");
    truth(/^\/(status|stop)$/.test((await v.page.inputValue("#message")).trim()), "the command is not completed");
    await v.close();
}

/* Whatever a model writes: no markup of it becomes the page's, nothing is fetched, addresses that run script are no links. */
export async function hostile_text(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:hostile");
    await v.page.locator(".hello h2").waitFor();
    const text = ["<img src=x onerror=window.hit=1><script>window.hit=1</script>", "![pic](http://127.0.0.1:1/pic.png) [go](javascript:window.hit=1) [ok](https://example.org/a(b))",
        "[![in](http://127.0.0.1:1/x.png)](http://127.0.0.1:1/y)", "```html", "<b onclick=alert(1)>", "```", "| a | b |", "| --- | ---: |", "| 1 | **2** |", "> quote", "", "- [x] done", "- item", "  1. inner", "", "`code` **bold** *it* ~~gone~~ https://example.org/x."].join("\n");
    await v.page.evaluate((t) => import(`${location.origin}/assets/lib/markdown.js`).then((m) => {
        const el = document.createElement("div");
        el.className = "md";
        el.id = "probe";
        document.querySelector(".rows").append(el);
        m.render(el, t);
    }), text);
    equal(await v.page.evaluate(() => [window.hit, document.querySelectorAll("#probe img, #probe script, #probe [onclick]").length, [...document.querySelectorAll("#probe a")].map((a) => a.getAttribute("href"))]),
          [null, 0, ["http://127.0.0.1:1/pic.png", "https://example.org/a(b)", "http://127.0.0.1:1/y", "https://example.org/x"]], "what became of it");
    equal(await v.page.evaluate(() => ["table td strong", "blockquote p", "li.task", "ol li", "s", "em", "figure pre"].filter((q) => !document.querySelector(`#probe ${q}`))), [], "forms that are missing");
    for (const url of v.requests) truth(url.startsWith(PAGE), `asked ${url}`);
    await shot(v.page, "markdown");
    await v.close();
}

/* Long tricks take no long time: the work grows with the text. */
export async function endless_text(browser) {
    const v = await visitor(browser);
    await enter(v.page);
    const slow = await v.page.evaluate(async () => {
        const {render} = await import(`${location.origin}/assets/lib/markdown.js`);
        const time = (text) => {
            const el = document.createElement("div"), t = performance.now();
            render(el, text);
            return performance.now() - t;
        };
        const out = [];
        for (const piece of ["[", "*a", "**a ", "_", "`", "![](", "> ", "- ", "| a ", "<http://", "~~~\n", "[a](b ", "***", "1. ", "  - x\n", "\\", "```js\n\"", "/*", "((((", "__a"]) {
            time(piece.repeat(200));
            const small = Math.max(1, time(piece.repeat(2000))), large = time(piece.repeat(16000));
            if (large > 2000 && large > small * 40) out.push(`${JSON.stringify(piece)}: ${small.toFixed(0)} ms, then ${large.toFixed(0)} ms`);
        }
        return out;
    });
    equal(slow, [], "texts that take too long");
    await v.close();
}

/* The front dies in the middle of an answer: marked as out of date, back by itself, the answer is whole and there once. */
export async function front_dies(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:front");
    await say(v.page, "front dies [fake ok chunks=6 gate=fr at=3 text=word]");
    await v.page.locator(".msg.live", {hasText: "word2"}).waitFor();
    const marked = v.page.waitForSelector("body.stale .banner");
    await kill("front");
    await marked;
    await shot(v.page, "connection_lost");
    await v.page.locator(".banner", {state: "hidden"}).waitFor({state: "hidden"});
    await gate("fr");
    await answer(v.page, "word5");
    equal(await v.page.locator(".msg.assistant").count(), 1, "answers");
    equal(await v.page.locator(".msg.user").count(), 1, "messages");
    await v.close();
}

export async function hub_dies(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:hub");
    await say(v.page, "hub dies [fake ok chunks=6 gate=hu at=3 text=word]");
    await v.page.locator(".msg.live", {hasText: "word2"}).waitFor();
    await kill("hub");
    await gate("hu");
    await answer(v.page, "word5");
    await say(v.page, "and again [fake ok chunks=2 text=more]");
    await answer(v.page, "more1");
    equal(await v.page.locator(".msg.user").count(), 2, "messages");
    equal(await v.page.locator(".msg.assistant").count(), 2, "answers");
    await shot(v.page, "after_hub_died");
    await v.close();
}

/* Two browsers in one conversation see the same; what another one does is marked in the list. */
export async function two_browsers(browser) {
    const a = await visitor(browser), b = await visitor(browser);
    await enter(a.page, "/#/chat/agent:main:two");
    await enter(b.page, "/#/chat/agent:main:two");
    await a.page.locator(".hello h2").waitFor();
    await b.page.locator(".hello h2").waitFor();
    await say(a.page, "hello both [fake ok chunks=2 text=both]");
    await answer(b.page, "both1");
    equal(await b.page.locator(".msg.user").count(), 1, "messages of the other");
    /* an answer that comes while nobody looks is unread in both, until one of them reads it */
    await say(a.page, "once more [fake ok chunks=2 text=next gate=nobody at=1]");
    await a.page.locator(".msg.live .md", {hasText: "next0"}).waitFor();
    for (const v of [a, b]) {
        await v.page.goto(`${PAGE}/#/chat/agent:main:elsewhere`);
        await v.page.locator(".hello h2").waitFor();
    }
    await gate("nobody");
    const mark = "[data-key='agent:main:two']";
    for (const v of [a, b]) await v.page.locator(`.sessions li.unread${mark}`).waitFor();
    await a.page.locator(`.sessions li${mark} a`).click();
    await answer(a.page, "next1");
    await b.page.locator(`.sessions li:not(.unread)${mark}`).waitFor();
    await a.close();
    await b.close();
}

export async function history_while_scrolling(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:scroll");
    await v.page.evaluate(async () => {
        const {Gateway} = await import(`${location.origin}/assets/lib/rpc.js`);
        const gw = new Gateway();
        await new Promise((r) => {
            gw.addEventListener("state", () => gw.state === "ready" && r());
            gw.open();
        });
        await gw.ask("sessions.create", {key: "agent:main:scroll"}).catch(() => {});
        for (let i = 0; i < 150; i++) await gw.ask("chat.inject", {sessionKey: "agent:main:scroll", message: `line ${i}\n\nof many`});
        gw.drop();
    });
    await v.page.reload();
    await v.page.locator(".msg", {hasText: "line 149"}).waitFor();
    equal(await v.page.locator(".msg", {hasText: /^line 0\b/}).count(), 0, "the first line at the beginning");
    for (let i = 0; i < 40 && !(await v.page.locator(".msg", {hasText: "line 0of"}).count()); i++) {
        await v.page.evaluate(() => { document.querySelector(".scroll").scrollTop = 0; });
        await v.page.waitForFunction((n) => document.querySelectorAll(".msg").length > n || document.querySelectorAll(".msg").length >= 150, await v.page.locator(".msg").count());
        if (await v.page.locator(".msg").count() >= 150) break;
    }
    equal(await v.page.locator(".msg").count(), 150, "messages");
    await v.close();
}

export async function phone(browser) {
    const v = await visitor(browser, {viewport: {width: 390, height: 780}, hasTouch: true, isMobile: true, colorScheme: "dark"});
    await enter(v.page, "/#/chat/agent:main:phone");
    await say(v.page, "on a phone with `a_very_long_word_that_does_not_end_and_goes_on_for_quite_a_while_without_a_break` [fake ok chunks=4 text=small]");
    await answer(v.page, "small3");
    await sound(v.page, "the chat on a phone");
    await shot(v.page, "phone_chat");
    await v.page.click(".drawer-open");
    await v.page.locator(".sessions li").first().waitFor();
    await sound(v.page, "the list on a phone");
    await shot(v.page, "phone_list");
    await v.close();
}

export async function webchat(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/chat");
    await v.page.waitForSelector("#message");
    equal(await v.page.locator(".rail").count(), 0, "rails");
    await say(v.page, "just chat [fake ok chunks=2 text=plain]");
    await answer(v.page, "plain1");
    await sound(v.page, "WebChat");
    await shot(v.page, "webchat");
    await v.close();
}

/* A picture of one pixel. */
const DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/* The newest picture of a message has come from the gateway. */
const shown = (page) => page.waitForFunction(() => {
    const img = [...document.querySelectorAll(".msg.user .picture")].pop();
    return img?.src.includes("/__openclaw__/assistant-media?") && img.complete && img.naturalWidth === 1;
});

export async function files(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:files");
    await v.page.locator(".hello h2").waitFor();
    await v.page.evaluate((dot) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(dot), (c) => c.charCodeAt(0))], "dot.png", {type: "image/png"}));
        data.items.add(new File(["some words"], "notes.txt", {type: "text/plain"}));
        document.querySelector("main").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
    }, DOT);
    await v.page.locator(".chip", {hasText: "dot.png"}).waitFor();
    await v.page.locator(".chip img").waitFor();
    await sound(v.page, "a file in the box");
    await say(v.page, "with a picture [fake ok chunks=2 text=seen]");
    await v.page.locator(".msg.user .picture").first().waitFor();
    await answer(v.page, "seen1");
    await v.page.reload(); /* from here on the gateway shows what it keeps */
    await shown(v.page);
    await v.page.locator(".msg.user button.file", {hasText: "notes.txt"}).waitFor();
    await sound(v.page, "files of the history");
    await shot(v.page, "files");
    const [tab] = await Promise.all([v.context.waitForEvent("page"), v.page.click(".msg.user button.file")]);
    await tab.waitForFunction(() => document.body?.innerText.includes("some words"));
    for (const url of v.requests) truth(!url.includes(TOKEN), "the token is in an address");
    await v.close();
}

export async function pasted_picture(browser) {
    const v = await visitor(browser);
    await enter(v.page, "/#/chat/agent:main:paste");
    await v.page.locator(".hello h2").waitFor();
    await v.page.focus("#message");
    await v.page.evaluate((dot) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(dot), (c) => c.charCodeAt(0))], "image.png", {type: "image/png"}));
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
    }, DOT);
    await v.page.locator(".chip img").waitFor();
    await v.page.press("#message", "Enter"); /* a message of a picture alone */
    await v.page.locator(".msg.user .picture").first().waitFor();
    await v.page.locator(".msg.assistant:not(.live)").first().waitFor();
    await v.page.reload();
    await shown(v.page);
    equal(await v.page.locator(".msg.user").count(), 1, "messages");
    await v.close();
}
