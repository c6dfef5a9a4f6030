// cases/connect.mjs - the handshake: who gets in, who is told why not, and how the socket ends.

import { equal, has, ok } from "../lib/check.mjs";
import { Peer, Raw } from "../lib/peer.mjs";

const WRONG = "wrong-token-that-nobody-has";

/** Sends connect with `change` and expects an error with these words, then this close. */
async function refused(target, change, want, options) {
  const raw = await Raw.open(target, options);
  const res = await raw.connect(target, change);
  ok(res.ok === false, "connect should be refused", res);
  equal(res.error.code, want.code, "error code");
  if (want.message) ok(res.error.message.includes(want.message), `message should say "${want.message}"`, res.error.message);
  if (want.detail) equal(res.error.details?.code, want.detail, "details.code");
  const close = await raw.closeFrame();
  equal(close.code, want.close ?? 1008, "close code");
  if (want.reason) ok(close.reason.startsWith(want.reason), `close reason should start "${want.reason}"`, close.reason);
  return res.error;
}

/** Sends `first` as the first message and expects only a close. */
async function closedBy(target, first, code, reason) {
  const raw = await Raw.open(target);
  raw.send(first);
  const close = await raw.closeFrame();
  equal(close.code, code, "close code");
  equal(close.reason, reason, "close reason");
  equal(raw.frames.items.length, 1, "frames before the close (the challenge only)");
}

const client = (id, mode) => ({ client: { id, version: "1.0.0", platform: "linux", mode } });

export const cases = {
  "connect: official client, token": async (t) => {
    const peer = await Peer.connect(t);
    equal(peer.hello.type, "hello-ok", "type");
    equal(peer.hello.protocol, 4, "protocol");
    equal(peer.hello.auth.role, "operator", "auth.role");
    ok(peer.hello.auth.scopes.includes("operator.admin"), "scopes are granted", peer.hello.auth);
    has(peer.hello.snapshot, "presence", "health", "stateVersion", "uptimeMs", "sessionDefaults");
    equal(peer.hello.snapshot.sessionDefaults.mainSessionKey, "agent:main:main", "mainSessionKey");
    equal(peer.hello.policy.tickIntervalMs, 30000, "policy.tickIntervalMs");
    equal(peer.hello.policy.maxPayload, 26214400, "policy.maxPayload");
    equal(peer.hello.policy.maxBufferedBytes, 52428800, "policy.maxBufferedBytes");
    for (const m of ["health", "status", "chat.send", "chat.history", "chat.abort", "sessions.list", "agents.list"]) {
      ok(peer.hello.features.methods.includes(m), `features.methods lists ${m}`);
    }
    for (const e of ["chat", "agent", "tick", "shutdown", "health", "presence"]) {
      ok(peer.hello.features.events.includes(e), `features.events lists ${e}`);
    }
    await peer.close();
  },

  "connect: challenge has nonce and time": async (t) => {
    const raw = await Raw.open(t);
    ok(/^[0-9a-f-]{36}$/.test(raw.challenge.payload.nonce), "nonce is a uuid", raw.challenge);
    ok(Math.abs(raw.challenge.payload.ts - Date.now()) < 60000, "ts is now", raw.challenge);
    ok(!("seq" in raw.challenge), "the challenge has no seq", raw.challenge);
    raw.close();
  },

  "connect: official client is told about a wrong token": async (t) => {
    let error;
    try {
      await Peer.connect({ ...t, token: WRONG });
    } catch (e) {
      error = e;
    }
    equal(error?.gatewayCode, "INVALID_REQUEST", "error code");
    equal(error.details.code, "AUTH_TOKEN_MISMATCH", "details.code");
    equal(error.details.authReason, "token_mismatch", "details.authReason");
    equal(error.details.canRetryWithDeviceToken, false, "details.canRetryWithDeviceToken");
    has(error.details, "recommendedNextStep");
  },

  "connect: wrong token closes 1008": (t) =>
    refused(t, { auth: { token: WRONG } }, {
      code: "INVALID_REQUEST", detail: "AUTH_TOKEN_MISMATCH", message: "gateway token mismatch",
      reason: "unauthorized: gateway token mismatch",
    }),
  "connect: no credentials": (t) =>
    refused(t, { auth: undefined }, {
      code: "NOT_PAIRED", detail: "DEVICE_IDENTITY_REQUIRED", message: "device identity required",
      reason: "device identity required",
    }),
  "connect: protocol 3 only, operator": async (t) => {
    if (!t.oracle) {
      // We answer by range: 3 is served as 3. The original 2026.9.6 refuses it.
      const raw = await Raw.open(t);
      const res = await raw.connect(t, { minProtocol: 3, maxProtocol: 3 });
      ok(res.ok, "a protocol 3 client is served", res);
      equal(res.payload.protocol, 3, "hello.protocol");
      raw.close();
      return;
    }
    const e = await refused(t, { minProtocol: 3, maxProtocol: 3 }, {
      code: "INVALID_REQUEST", detail: "PROTOCOL_MISMATCH", message: "protocol mismatch",
      close: 1002, reason: "protocol mismatch",
    });
    equal(e.details.expectedProtocol, 4, "details.expectedProtocol");
  },
  "connect: protocol 5 only": async (t) => {
    const e = await refused(t, { minProtocol: 5, maxProtocol: 5 }, {
      code: "INVALID_REQUEST", detail: "PROTOCOL_MISMATCH", message: "protocol mismatch",
      close: 1002, reason: "protocol mismatch",
    });
    equal(e.details.clientMinProtocol, 5, "details.clientMinProtocol");
    equal(e.details.clientMaxProtocol, 5, "details.clientMaxProtocol");
    equal(e.details.expectedProtocol, 4, "details.expectedProtocol");
    equal(e.details.minimumProbeProtocol, 3, "details.minimumProbeProtocol");
  },
  "connect: range 3 to 4 is served as 4": async (t) => {
    const raw = await Raw.open(t);
    const res = await raw.connect(t, { minProtocol: 3, maxProtocol: 4 });
    ok(res.ok, "accepted", res);
    equal(res.payload.protocol, 4, "protocol");
    raw.close();
  },
  "connect: unknown role": (t) =>
    refused(t, { role: "viewer" }, { code: "INVALID_REQUEST", message: "invalid role", reason: "invalid role" }),
  "connect: unknown client id": (t) =>
    refused(t, client("netscape", "cli"), {
      code: "INVALID_REQUEST", message: "invalid connect params: ", reason: "invalid connect params: ",
    }),
  "connect: unknown member": (t) =>
    refused(t, { foo: 1 }, {
      code: "INVALID_REQUEST", message: "unexpected property 'foo'", reason: "invalid connect params: ",
    }),
  "connect: missing member": (t) =>
    refused(t, { client: { id: "cli", platform: "linux", mode: "cli" } }, {
      code: "INVALID_REQUEST", message: "must have required property 'version'", reason: "invalid connect params: ",
    }),
  "connect: Control UI without device": (t) =>
    refused(t, client("openclaw-control-ui", "ui"), {
      code: "INVALID_REQUEST", detail: t.oracle ? undefined : "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
    }, { origin: t.url.replace("ws:", "http:").replace(/\/$/, "") }),
  "connect: foreign origin": (t) =>
    refused(t, client("openclaw-control-ui", "ui"), {
      code: "INVALID_REQUEST", detail: "CONTROL_UI_ORIGIN_NOT_ALLOWED", message: "origin not allowed",
      reason: "origin not allowed",
    }, { origin: "http://evil.example" }),
  "connect: node without device": (t) =>
    refused(t, { ...client("node-host", "node"), role: "node", scopes: [] }, {
      code: "NOT_PAIRED", detail: "DEVICE_IDENTITY_REQUIRED", reason: "device identity required",
    }),
  "connect: CLI without device keeps its scopes": async (t) => {
    const raw = await Raw.open(t);
    const res = await raw.connect(t, { ...client("cli", "cli"), scopes: ["operator.read", "operator.write"] });
    ok(res.ok, "accepted", res);
    equal([...res.payload.auth.scopes].sort(), ["operator.read", "operator.write"], "scopes");
    raw.close();
  },
  "connect: other client without device loses its scopes, health works": async (t) => {
    const raw = await Raw.open(t);
    const res = await raw.connect(t, client("test", "test"));
    ok(res.ok, "accepted", res);
    equal(res.payload.auth.scopes, [], "scopes");
    ok((await raw.call("health", {})).ok, "health is answered");
    const no = await raw.call("status", {});
    equal(no.error?.details?.missingScope, "operator.read", "status is refused for want of");
    raw.close();
  },
  "connect: in a binary frame": async (t) => {
    const raw = await Raw.open(t);
    raw.send(Buffer.from(JSON.stringify({ type: "req", id: "b1", method: "connect", params: raw.connectParams(t) })));
    const res = await raw.frame((f) => f.id === "b1", "hello");
    ok(res.ok, "accepted", res);
    raw.close();
  },
  "connect: other method first": async (t) => {
    const raw = await Raw.open(t);
    const res = await raw.call("health", {});
    equal(res.error?.code, "INVALID_REQUEST", "error code");
    const close = await raw.closeFrame();
    equal(close, { code: 1008, reason: "invalid handshake: first request must be connect" }, "close");
  },
  // the original closes with 1000, as if all were well; ours says that something is wrong (docs/protocol.md)
  "connect: first message is not JSON": (t) =>
    t.oracle ? closedBy(t, "hello there", 1000, "") : closedBy(t, "hello there", 1008, "invalid request frame"),
  "connect: first message is no request": (t) =>
    closedBy(t, { type: "event", event: "x" }, 1008, "invalid request frame"),
  "connect: worker identity": async (t) => {
    const raw = await Raw.open(t);
    raw.send({ type: "req", id: "w", method: "connect", params: raw.connectParams(t, { ...client("openclaw-worker", "worker"), role: "worker" }) });
    equal(await raw.closeFrame(), { code: 1008, reason: "invalid-handshake" }, "close");
  },
  "connect: 65536 bytes pass, 65537 close 1009": async (t) => {
    const fit = await Raw.open(t);
    const frame = { type: "req", id: "fit", method: "connect", params: fit.connectParams(t, { userAgent: "" }) };
    frame.params.userAgent = "x".repeat(65536 - JSON.stringify(frame).length);
    fit.send(frame);
    ok((await fit.frame((f) => f.id === "fit", "hello")).ok, "65536 bytes are read");
    fit.close();
    const over = await Raw.open(t);
    frame.params.userAgent += "x";
    over.send(frame);
    equal(await over.closeFrame(), { code: 1009, reason: "" }, "close");
  },
  "connect: again after hello": async (t) => {
    const peer = await Peer.connect(t);
    const e = await peer.refused("connect", {});
    equal(e.gatewayCode, "INVALID_REQUEST", "error code");
    await peer.close();
  },
};
