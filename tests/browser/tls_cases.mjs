/* tests/browser/tls_cases.mjs - the page over TLS: HTTP/2, and a WebSocket that is one of its streams (RFC 8441). */
import {answer, enter, equal, gate, kill, say, truth, visitor} from "./lib.mjs";

/* What chromium itself says of a page's requests: versions of HTTP, and how its WebSockets were opened. */
async function watched(browser) {
    const v = await visitor(browser, {ignoreHTTPSErrors: true});
    const cdp = await v.context.newCDPSession(v.page), http = new Set(), sockets = [];
    await cdp.send("Network.enable");
    cdp.on("Network.responseReceived", (e) => http.add(e.response.protocol));
    cdp.on("Network.webSocketHandshakeResponseReceived", (e) => sockets.push(e.response.status));
    return {...v, http, sockets};
}

/* Everything over HTTP/2, the socket too: 200 is the answer to an extended CONNECT, 101 that of HTTP/1.1. */
export async function everything_over_h2(browser) {
    const v = await watched(browser);
    await enter(v.page);
    await say(v.page, "over h2 [fake ok chunks=4 text=secure]");
    await answer(v.page, "secure3");
    equal([...v.http], ["h2"], "versions of HTTP");
    equal([...new Set(v.sockets)], [200], "how the WebSocket was opened");
    await v.close();
}

/* A front that dies takes the whole connection along: the page comes back over a new one, with the answer whole. */
export async function front_dies(browser) {
    const v = await watched(browser);
    await enter(v.page, "/#/chat/agent:main:tls");
    await say(v.page, "front dies [fake ok chunks=6 gate=tls at=3 text=word]");
    await v.page.locator(".msg.live .md", {hasText: "word2"}).waitFor();
    await kill("front");
    await v.page.locator(".banner:not([hidden])").waitFor();
    await gate("tls");
    await answer(v.page, "word5");
    const text = await v.page.locator(".msg.assistant").last().innerText();
    equal([...text.matchAll(/word\d/g)].map((m) => m[0]), ["word0", "word1", "word2", "word3", "word4", "word5"], "the answer");
    /* without a connection that it could share chromium opens a WebSocket over HTTP/1.1 */
    truth(v.sockets.length >= 2 && v.sockets[0] === 200, `sockets: ${v.sockets}`);
    await v.close();
}
