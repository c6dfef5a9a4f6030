/*
 * chat/media.js - files of messages that the gateway keeps: pictures are shown, the rest can be opened. Each is fetched from this
 * gateway with a pass for it alone, which is asked for when it is needed and again before it ends.
 */
import {bytes, h, icon} from "../lib/dom.js";

const SHOWN = /^image\/(png|jpeg|gif|webp|avif|bmp)$/, EARLY = 30000;
const passes = new Map(); /* address: {url, until} */

/* What the history says of a message's files. */
export function filesOf(own) {
    return (Array.isArray(own?.media) ? own.media : []).filter((f) => typeof f?.url === "string" && f.url.startsWith("media://inbound/"))
        .map((f) => ({source: f.url, name: f.fileName || (f.kind === "image" ? "Picture" : "File"), type: f.contentType || "", size: f.sizeBytes, width: f.width, height: f.height}));
}

async function address(gw, f) {
    const known = passes.get(f.source);
    if (known && known.until - EARLY > Date.now()) return known.url;
    const got = await gw.ask("assistant.media.get", {source: f.source});
    if (!got.available) throw new Error(got.reason || "The file is not kept any more.");
    const url = `__openclaw__/assistant-media?${new URLSearchParams({source: f.source, mediaTicket: got.mediaTicket})}`;
    if (passes.size > 500) passes.clear();
    passes.set(f.source, {url: new URL(url, document.baseURI).href, until: Date.parse(got.mediaTicketExpiresAt)});
    return passes.get(f.source).url;
}

function chip(gw, f, note) {
    const size = f.size ? h("small", {}, bytes(f.size)) : null;
    return h("button", {type: "button", class: "file", title: note || `Open ${f.name}`, disabled: !!note, onclick: async () => {
        const tab = window.open("", "_blank");
        try {
            const url = await address(gw, f);
            if (tab) {
                tab.opener = null;
                tab.location = url;
            }
        } catch {
            tab?.close();
        }
    }}, icon("file", 16), f.name, size);
}

export function keptFile(gw, f) {
    if (!SHOWN.test(f.type)) return chip(gw, f);
    const img = h("img", {class: "picture", alt: f.name, loading: "lazy"});
    if (f.width && f.height) Object.assign(img, {width: f.width, height: f.height}); /* its place does not move when it comes */
    img.onerror = () => img.src && img.replaceWith(chip(gw, f, "The picture could not be loaded"));
    address(gw, f).then((url) => { img.src = url; }, (e) => img.replaceWith(chip(gw, f, e.message)));
    return img;
}
