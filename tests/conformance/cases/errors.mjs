// cases/errors.mjs - what callers are told when they ask for what they cannot have.

import { equal, ok } from "../lib/check.mjs";
import { Peer, Raw } from "../lib/peer.mjs";

async function asks(t, options, rows) {
  const peer = await Peer.connect(t, options);
  try {
    for (const [method, params, code, words, detail] of rows) {
      const e = await peer.refused(method, params);
      equal(e.gatewayCode, code, `${method}: code`);
      ok(e.message.includes(words), `${method}: message should say "${words}"`, e.message);
      if (detail) equal(e.details?.code, detail, `${method}: details.code`);
    }
    ok((await peer.request("health")).ok, "the connection still serves");
  } finally {
    await peer.close();
  }
}

const BAD = "INVALID_REQUEST";

export const cases = {
  "error: unknown method, admin": (t) => asks(t, {}, [["no.such.method", {}, BAD, "unknown method: no.such.method"]]),
  "error: unknown method, others": (t) =>
    asks(t, { scopes: ["operator.read"] }, [["no.such", {}, "FORBIDDEN", "missing scope: operator.admin", "MISSING_SCOPE"]]),
  "error: missing scope": (t) =>
    asks(t, { scopes: ["operator.read"] }, [
      ["chat.send", { sessionKey: "agent:main:x", message: "x", idempotencyKey: "1" }, "FORBIDDEN", "missing scope: operator.write", "MISSING_SCOPE"],
      ["exec.approval.list", {}, "FORBIDDEN", "missing scope: operator.approvals", "MISSING_SCOPE"],
      ["device.pair.list", {}, "FORBIDDEN", "missing scope: operator.pairing", "MISSING_SCOPE"],
      ["config.set", { raw: "{}" }, "FORBIDDEN", "missing scope: operator.admin", "MISSING_SCOPE"],
      ["chat.inject", { sessionKey: "main", message: "x" }, "FORBIDDEN", "missing scope: operator.admin", "MISSING_SCOPE"],
    ]),
  "error: sessions.read and sessions.write suffice for their methods": async (t) => {
    if (t.oracle) return; // the original also wants a verified user profile behind these scopes
    const reader = await Peer.connect(t, { scopes: ["operator.sessions.read"] });
    await reader.request("sessions.list", {});
    await reader.request("chat.history", { sessionKey: "main" });
    await reader.refused("models.list", {});
    await reader.close();
    const writer = await Peer.connect(t, { scopes: ["operator.sessions.write"] });
    await writer.request("chat.abort", { sessionKey: "agent:main:none" });
    await writer.close();
  },
  "error: node methods for an operator": (t) => asks(t, {}, [["node.event", { event: "x" }, BAD, "unauthorized role: operator"]]),
  "error: bad params": (t) =>
    asks(t, {}, [
      ["chat.send", {}, BAD, "session mutation target is unavailable", "SESSION_MUTATION_TARGET_REQUIRED"],
      ["chat.send", { sessionKey: "agent:main:x", message: "x", idempotencyKey: "i", bogus: 1 }, BAD, "invalid chat.send params: at root: unexpected property 'bogus'"],
      ["chat.send", { sessionKey: "agent:main:x", message: "x" }, BAD, "must have required property 'idempotencyKey'"],
      ["chat.send", { sessionKey: "agent:main:x", message: 5, idempotencyKey: "i" }, BAD, "invalid chat.send params: at /message"],
      ["chat.send", { sessionKey: "agent:main:x", message: "", idempotencyKey: "e1" }, BAD, "message or attachment required"],
      ["chat.history", {}, BAD, "invalid chat.history params: must have required property 'sessionKey'"],
      ["chat.history", { sessionKey: "main", limit: 1001 }, BAD, "invalid chat.history params: at /limit: must be <= 1000"],
      ["chat.abort", { sessionKey: "main", runId: 7 }, BAD, "invalid chat.abort params: at /runId"],
      ["sessions.list", { limit: 0 }, BAD, "invalid sessions.list params: at /limit: must be >= 1"],
      ["sessions.list", { nope: true }, BAD, "invalid sessions.list params: at root: unexpected property 'nope'"],
      ["sessions.preview", { keys: [] }, BAD, "invalid sessions.preview params: at /keys: must not have fewer than 1 items"],
      ["sessions.messages.subscribe", {}, BAD, "invalid sessions.messages.subscribe params: must have required property 'key'"],
      ["agent.wait", {}, BAD, "invalid agent.wait params: must have required property 'runId'"],
      ["agent", { message: "x" }, BAD, "invalid agent params: must have required property 'idempotencyKey'"],
      ["agent", { message: "x", idempotencyKey: "u1", agentId: "nobody" }, BAD, "unknown agent id"],
      ["models.list", { view: "none" }, BAD, "invalid models.list params"],
      ["agents.list", { x: 1 }, BAD, "invalid agents.list params"],
      ["config.get", { x: 1 }, BAD, "invalid config.get params"],
      ["logs.tail", { limit: -1 }, BAD, "invalid logs.tail params"],
    ]),
  "error: frames that are no requests": async (t) => {
    const raw = await Raw.open(t);
    ok((await raw.connect(t)).ok, "connected");
    const rows = [
      [{ type: "req", id: "", method: "health" }, "", "at /id: must not have fewer than 1 characters"],
      [{ type: "req", id: "bad1", method: 5 }, "bad1", "at /method: must be string"],
      [{ type: "event", event: "x" }, "invalid", "must have required property 'id'"],
      [{ type: "req", id: "tp1", method: "health", traceparent: "x".repeat(129) }, "tp1", "must not have more than 128 characters"],
      [[1], "invalid", "must be object"],
      ["null", "invalid", "must be object"],
      ["7", "invalid", "must be object"],
    ];
    for (const [frame, id, words] of rows) {
      const before = raw.frames.items.length;
      raw.send(frame);
      const res = await raw.frame((f) => f.type === "res" && f.id === id && raw.frames.items.indexOf(f) >= before, `answer to ${JSON.stringify(frame)}`);
      equal(res.error.code, BAD, "code");
      ok(res.error.message.startsWith("invalid request frame: ") && res.error.message.includes(words), `message should say "${words}"`, res.error.message);
    }
    const before = raw.frames.items.filter((f) => f.type === "res").length;
    raw.send("not json");
    ok((await raw.call("health", {})).ok, "health after garbage");
    equal(raw.frames.items.filter((f) => f.type === "res").length, before + 1, "garbage is not answered");
    raw.close();
  },
  "error: requests run side by side": async (t) => {
    const peer = await Peer.connect(t);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => peer.request(i % 2 ? "health" : "sessions.list", {})));
    equal(answers.length, 50, "answers");
    await peer.close();
  },
};
