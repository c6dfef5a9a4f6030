/*
 * lib/identity.js - who this browser is: an Ed25519 key that no script can read out, and the token the gateway gave
 * to it. Both live in IndexedDB. The shared token of the gateway is never stored: it is needed once, then the
 * device's own token takes its place.
 */
const DB = "openclaw-control", STORE = "identity";

function open() {
    return new Promise((resolve, reject) => {
        const r = indexedDB.open(DB, 1);
        r.onupgradeneeded = () => r.result.createObjectStore(STORE);
        r.onsuccess = () => resolve(r.result);
        r.onerror = () => reject(r.error);
    });
}

async function within(mode, f) {
    const db = await open();
    try {
        return await new Promise((resolve, reject) => {
            const t = db.transaction(STORE, mode), r = f(t.objectStore(STORE));
            t.oncomplete = () => resolve(r.result);
            t.onerror = t.onabort = () => reject(t.error);
        });
    } finally {
        db.close();
    }
}

const read = (key) => within("readonly", (s) => s.get(key));
const write = (key, value) => within("readwrite", (s) => s.put(value, key));
const erase = (key) => within("readwrite", (s) => s.delete(key));

function base64url(buffer) {
    return btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function hex(buffer) {
    return [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/* Why no identity can be made here, or null. */
export function obstacle() {
    if (!globalThis.isSecureContext || !globalThis.crypto?.subtle)
        return "insecure";
    return globalThis.indexedDB ? null : "no-storage";
}

async function create() {
    const pair = await crypto.subtle.generateKey({name: "Ed25519"}, false, ["sign", "verify"]);
    const raw = await crypto.subtle.exportKey("raw", pair.publicKey);
    return {privateKey: pair.privateKey, publicKey: base64url(raw), id: hex(await crypto.subtle.digest("SHA-256", raw))};
}

let cached;

/* {id, publicKey, privateKey}: the same one for as long as the browser keeps this site's data. */
export async function device() {
    if (!cached) {
        cached = await read("device");
        if (!cached) {
            cached = await create();
            await write("device", cached);
        }
    }
    return cached;
}

/* The proof of possession that `connect` wants (payload version 3). */
export async function prove({client, role, scopes, secret, nonce, signedAt}) {
    const d = await device();
    const text = ["v3", d.id, client.id, client.mode, role, scopes.join(","), signedAt, secret, nonce,
                  client.platform.trim().toLowerCase(), (client.deviceFamily || "").trim().toLowerCase()].join("|");
    const signature = await crypto.subtle.sign({name: "Ed25519"}, d.privateKey, new TextEncoder().encode(text));
    return {id: d.id, publicKey: d.publicKey, signature: base64url(signature), signedAt, nonce};
}

export const deviceToken = () => read("token");
export const keepDeviceToken = (token) => write("token", token);
export const forgetDeviceToken = () => erase("token");
