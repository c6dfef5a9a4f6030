// lib/peer.mjs - a test's view of one connection: the official client, or a bare socket.

import { GatewayClient } from "@openclaw/gateway-client";
import { WebSocket } from "ws";
import "./tap.mjs";

export const SCOPES = [
  "operator.admin",
  "operator.read",
  "operator.write",
  "operator.approvals",
  "operator.pairing",
];
const WAIT_MS = 20000; // more than any step needs on a busy two-core machine

export function within(promise, what, ms = WAIT_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out waiting for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Items that arrive over time, and waits for the first (or next) that satisfies a test. */
class Inbox {
  items = [];
  #waiters = new Set();

  push(item) {
    this.items.push(item);
    for (const check of [...this.#waiters]) check();
  }

  wait(test, what, ms) {
    let check;
    const found = new Promise((resolve) => {
      check = () => {
        const hit = this.items.find(test);
        if (hit) resolve(hit);
      };
    });
    this.#waiters.add(check);
    check();
    return within(found, what, ms).finally(() => this.#waiters.delete(check));
  }
}

/** The official client. */
export class Peer {
  events = new Inbox();
  gaps = [];
  closes = new Inbox();

  static async connect(target, options = {}) {
    const peer = new Peer();
    const hello = new Promise((resolve, reject) => {
      peer.client = new GatewayClient({
        url: target.url,
        token: target.token,
        scopes: SCOPES,
        deviceIdentity: null,
        onHelloOk: resolve,
        onConnectError: (error) => {
          peer.connectError = error;
          reject(error);
        },
        onEvent: (event) => peer.events.push(event),
        onGap: (gap) => peer.gaps.push(gap),
        onClose: (code, reason) => {
          peer.closes.push({ code, reason });
          if (options.failOnClose) reject(new Error(`closed ${code} ${reason}`));
        },
        ...options,
      });
      peer.client.start();
    });
    try {
      peer.hello = await within(hello, "hello-ok");
    } catch (error) {
      peer.client.stop();
      throw error;
    }
    return peer;
  }

  request(method, params = {}, options) {
    return within(this.client.request(method, params, options), `answer to ${method}`);
  }

  /** The error of a request that must fail. */
  async refused(method, params = {}) {
    let payload;
    try {
      payload = await this.request(method, params);
    } catch (error) {
      if (!error.gatewayCode) throw error;
      return error;
    }
    throw new Error(`${method} was not refused but answered ${JSON.stringify(payload).slice(0, 200)}`);
  }

  event(test, what, ms) {
    return this.events.wait(test, what, ms);
  }

  chat(runId, state, ms) {
    return this.event(
      (e) => e.event === "chat" && e.payload.runId === runId && e.payload.state === state,
      `chat ${state} of ${runId}`,
      ms,
    );
  }

  chats(runId) {
    return this.events.items.filter((e) => e.event === "chat" && e.payload.runId === runId).map((e) => e.payload);
  }

  async close() {
    await this.client.stopAndWait({ timeoutMs: 2000 }).catch(() => {});
  }
}

/** A bare socket: sends anything, keeps every frame and the close. */
export class Raw {
  frames = new Inbox();
  closed = new Inbox();
  #id = 1;

  static async open(target, options = {}) {
    const raw = new Raw();
    raw.ws = new WebSocket(target.url, { perMessageDeflate: false, ...options });
    raw.ws.on("message", (data) => {
      try {
        raw.frames.push(JSON.parse(data.toString()));
      } catch {
        raw.frames.push({ type: "broken", text: data.toString() }); // the tap has complained already
      }
    });
    raw.ws.on("close", (code, reason) => raw.closed.push({ code, reason: reason.toString() }));
    await within(
      new Promise((resolve, reject) => {
        raw.ws.on("open", resolve);
        raw.ws.on("error", reject);
      }),
      "open",
    );
    raw.challenge = await raw.frame((f) => f.event === "connect.challenge", "connect.challenge");
    return raw;
  }

  send(value) {
    this.ws.send(typeof value === "string" || Buffer.isBuffer(value) ? value : JSON.stringify(value));
  }

  frame(test, what, ms) {
    return this.frames.wait(test, what, ms);
  }

  async call(method, params, more = {}) {
    const id = `raw-${this.#id++}`;
    this.send({ type: "req", id, method, params, ...more });
    return this.frame((f) => f.type === "res" && f.id === id, `answer to ${method}`);
  }

  connectParams(target, change = {}) {
    return {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
      role: "operator",
      scopes: SCOPES,
      auth: { token: target.token },
      ...change,
    };
  }

  connect(target, change) {
    return this.call("connect", this.connectParams(target, change));
  }

  close() {
    this.ws.terminate();
  }

  closeFrame() {
    return this.closed.wait(() => true, "close");
  }
}
