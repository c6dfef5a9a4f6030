/*
 * lib/rpc.js - the connection to the gateway that served this page: handshake, requests, events, coming back.
 * The address is always the page's own: nothing in a URL can point it elsewhere.
 *
 * state   connecting, locked (a secret is wanted), waiting (the device waits for approval), ready, lost, refused
 * Events of this object: "state" (the state or its reason changed), "gap" (events were missed: read again).
 */
import {device, deviceToken, forgetDeviceToken, keepDeviceToken, obstacle, prove} from "./identity.js";

const SCOPES = ["admin", "read", "write", "approvals", "questions", "pairing"].map((s) => "operator." + s);
const CLIENT = {id: "openclaw-control-ui", mode: "webchat", version: "1.0.0", platform: "web", displayName: "Control page"};
const WANTS_SECRET = /^AUTH_(TOKEN|PASSWORD|REQUIRED|UNAUTHORIZED|DEVICE_TOKEN|SCOPE|BOOTSTRAP)/;
const FINAL = new Set(["CONTROL_UI_ORIGIN_NOT_ALLOWED", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED", "PROTOCOL_MISMATCH"]);

export class GatewayError extends Error {
    constructor(e) {
        super(e.message || "the gateway refused");
        Object.assign(this, {code: e.code, details: e.details || {}, retryable: !!e.retryable, retryAfterMs: e.retryAfterMs});
    }
}

export class Gateway extends EventTarget {
    constructor() {
        super();
        Object.assign(this, {state: "connecting", reason: null, hello: null, heardAt: 0, everReady: false});
        this.secret = "";      /* typed or from the fragment: in memory until a device token replaces it */
        this.bootstrap = "";
        this.pending = new Map();
        this.listeners = new Map();
        this.tries = 0;
        this.serial = 0;
        addEventListener("online", () => this.wake());
        document.addEventListener("visibilitychange", () => document.hidden || this.wake());
    }

    /* ---- for the pages ---- */

    has(...methods) {
        return !!this.hello && methods.every((m) => this.methods.has(m));
    }

    may(scope) {
        return !!this.hello && (this.scopes.has("operator.admin") || this.scopes.has("operator." + scope));
    }

    /* f(payload) for every event of a name; returns what ends that. */
    on(name, f) {
        const set = this.listeners.get(name) || new Set();
        this.listeners.set(name, set.add(f));
        return () => set.delete(f);
    }

    ask(method, params = {}, timeoutMs = 30000) {
        if (this.state !== "ready") return Promise.reject(new GatewayError({code: "LOST", message: "not connected"}));
        return this.send(method, params, timeoutMs);
    }

    /* A secret was typed. */
    unlock(secret) {
        this.secret = secret;
        this.open();
    }

    async forget() {
        await forgetDeviceToken();
        this.secret = "";
        this.open();
    }

    /* ---- connection ---- */

    set(state, reason = null) {
        this.state = state;
        this.reason = reason;
        if (state === "lost" || state === "ready") clearTimeout(this.quiet);
        this.dispatchEvent(new Event("state"));
    }

    async open() {
        clearTimeout(this.timer);
        this.drop();
        const blocked = obstacle();
        if (blocked) return this.set("refused", {code: blocked});
        if (!this.everReady) this.set("connecting");
        const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`);
        this.socket = socket;
        socket.onmessage = (m) => this.socket === socket && this.hear(m.data);
        socket.onclose = (e) => this.socket === socket && this.closed(e);
        this.timer = setTimeout(() => socket.close(), 20000);
    }

    drop() {
        const socket = this.socket;
        this.socket = null;
        if (socket) {
            socket.onclose = socket.onmessage = null;
            socket.close();
        }
        for (const p of this.pending.values()) p.reject(new GatewayError({code: "LOST", message: "the connection was lost"}));
        this.pending.clear();
    }

    closed() {
        clearTimeout(this.timer);
        this.drop();
        if (this.state === "locked" || this.state === "refused") return;
        if (this.state !== "waiting") this.set(this.everReady ? "lost" : "connecting", {tries: ++this.tries});
        const wait = this.state === "waiting" ? 3000 : Math.min(15000, 400 * 2 ** Math.min(this.tries - 1, 6)) * (0.75 + Math.random() / 2);
        this.timer = setTimeout(() => this.open(), wait);
    }

    wake() {
        if (this.state === "lost" || (this.state === "connecting" && this.tries)) this.open();
    }

    send(method, params, timeoutMs) {
        const id = String(++this.serial);
        return new Promise((resolve, reject) => {
            const timer = timeoutMs && setTimeout(() => {
                this.pending.delete(id);
                reject(new GatewayError({code: "TIMEOUT", message: `no answer to ${method} within ${timeoutMs / 1000} s`}));
            }, timeoutMs);
            const done = (f) => (x) => {
                clearTimeout(timer);
                f(x);
            };
            this.pending.set(id, {resolve: done(resolve), reject: done(reject)});
            this.socket.send(JSON.stringify({type: "req", id, method, params}));
        });
    }

    hear(text) {
        let frame;
        try {
            frame = JSON.parse(text);
        } catch {
            return;
        }
        this.heardAt = Date.now();
        if (this.state === "ready") this.listen();
        if (frame.type === "res") {
            const p = this.pending.get(frame.id);
            this.pending.delete(frame.id);
            if (p) frame.ok ? p.resolve(frame.payload) : p.reject(new GatewayError(frame.error || {}));
        } else if (frame.event === "connect.challenge") {
            this.greet(frame.payload).catch((e) => this.refused(e));
        } else if (frame.type === "event") {
            if (frame.seq !== undefined) {
                if (this.seq !== undefined && frame.seq > this.seq + 1) this.dispatchEvent(new Event("gap"));
                this.seq = frame.seq;
            }
            for (const f of [...(this.listeners.get(frame.event) || [])]) f(frame.payload);
        }
    }

    /* A gateway that says nothing for two ticks is gone, whatever the socket believes. */
    listen() {
        clearTimeout(this.quiet);
        this.quiet = setTimeout(() => this.socket && this.closed(), this.tickMs * 2 + 5000);
    }

    async greet({nonce, ts}) {
        const kept = this.secret || this.bootstrap ? null : await deviceToken();
        const auth = this.secret ? {token: this.secret, password: this.secret} : this.bootstrap ? {bootstrapToken: this.bootstrap} :
            kept ? {deviceToken: kept} : undefined;
        const proof = await prove({client: CLIENT, role: "operator", scopes: SCOPES, nonce, signedAt: ts,
                                   secret: this.secret || kept || this.bootstrap || ""});
        const hello = await this.send("connect", {
            minProtocol: 4, maxProtocol: 4, client: CLIENT, role: "operator", scopes: SCOPES, caps: ["tool-events", "approvals"],
            device: proof, auth, locale: navigator.language, userAgent: navigator.userAgent.slice(0, 200)}, 0);
        clearTimeout(this.timer);
        if (hello.auth?.deviceToken) {
            await keepDeviceToken(hello.auth.deviceToken);
            this.secret = this.bootstrap = "";
        }
        this.hello = hello;
        this.methods = new Set(hello.features?.methods || []);
        this.scopes = new Set(hello.auth?.scopes || []);
        this.tickMs = hello.policy?.tickIntervalMs || 30000;
        this.seq = undefined;
        this.tries = 0;
        this.everReady = true;
        this.set("ready");
        this.listen();
    }

    async refused(e) {
        const code = e.details?.code || e.code || "";
        const reason = {code, message: e.message, details: e.details || {}};
        if (e.code === "LOST") return; /* closed() has it */
        if (code === "PAIRING_REQUIRED") {
            reason.deviceId = (await device()).id;
            this.set("waiting", reason);
        } else if (code === "AUTH_RATE_LIMITED") {
            this.set("locked", reason);
        } else if (WANTS_SECRET.test(code)) {
            const typed = !!this.secret;
            this.secret = this.bootstrap = "";
            if (/DEVICE_TOKEN|SCOPE_MISMATCH/.test(code)) await forgetDeviceToken();
            this.set("locked", {...reason, typed});
        } else if (FINAL.has(code) || e.name === "NotSupportedError" || e.name === "SyntaxError") {
            this.set("refused", e.name === "NotSupportedError" ? {code: "no-ed25519"} : reason);
        } /* else: it closes, and we come back */
        if (this.state !== "waiting" && this.socket) this.socket.close();
    }
}
