// cases/chat.mjs - a turn from chat.send to final, its history, abort, repeats, and other clients' view.

import { randomUUID } from "node:crypto";
import { equal, has, ok, textOf } from "../lib/check.mjs";
import { Peer } from "../lib/peer.mjs";

const key = () => `agent:main:c-${randomUUID()}`;
const SLOW = "count slowly [fake ok chunks=40 delay=100] slow msg";
const FAST = "say something [fake ok chunks=5]";

/** Runs one turn to its end; returns the run's chat payloads. */
async function turn(peer, sessionKey, message, runId = randomUUID()) {
  const ack = await peer.request("chat.send", { sessionKey, message, idempotencyKey: runId });
  equal(ack.runId, runId, "runId is the idempotency key");
  equal(ack.status, "started", "status");
  const final = await peer.chat(runId, "final");
  return { runId, final: final.payload, chats: peer.chats(runId) };
}

async function history(peer, sessionKey, more = {}) {
  return peer.request("chat.history", { sessionKey, limit: 100, ...more });
}

/** One terminal event; status before delta before final; deltas add up to the cumulative text. */
function orderly(chats, end) {
  const states = chats.map((c) => c.state);
  equal(states.filter((s) => ["final", "aborted", "error"].includes(s)), [end], "terminal events");
  equal(states.at(-1), end, "last state");
  const firstDelta = states.indexOf("delta");
  if (firstDelta >= 0) ok(states.lastIndexOf("status") < firstDelta, "status comes before delta", states);
  let soFar = "";
  for (const c of chats.filter((c) => c.state === "delta")) {
    soFar = c.replace ? c.deltaText : soFar + c.deltaText;
    equal(textOf(c.message), soFar, "cumulative text of a delta");
  }
  const phases = chats.filter((c) => c.state === "status").map((c) => c.phase);
  const order = ["preparing_workspace", "preparing_context", "starting_model"];
  equal(phases, order.filter((p) => phases.includes(p)), "status phases in order, each once");
  ok(phases.includes("starting_model") || firstDelta < 0, "starting_model is announced", phases);
  return soFar;
}

export const cases = {
  "chat: a turn runs to final": async (t) => {
    const peer = await Peer.connect(t);
    const { final, chats } = await turn(peer, key(), FAST);
    const text = orderly(chats, "final");
    ok(textOf(final.message).length > 0, "final carries the text", final);
    equal(textOf(final.message).trim(), text.trim(), "final text equals the deltas");
    equal(final.message.role, "assistant", "role");
    equal(peer.gaps, [], "gaps seen by the official client");
    await peer.close();
  },

  "chat: agent events accompany the turn": async (t) => {
    const peer = await Peer.connect(t);
    const { runId } = await turn(peer, key(), FAST);
    const agent = peer.events.items.filter((e) => e.event === "agent" && e.payload.runId === runId).map((e) => e.payload);
    const seqs = agent.map((a) => a.seq);
    ok(seqs.every((s, i) => i === 0 || s > seqs[i - 1]), "agent seq rises", seqs);
    const life = agent.filter((a) => a.stream === "lifecycle").map((a) => a.data.phase);
    equal(life[0], "start", "first lifecycle phase");
    ok(life.includes("end"), "lifecycle ends", life);
    ok(agent.some((a) => a.stream === "assistant" && typeof a.data.text === "string"), "assistant stream");
    await peer.close();
  },

  "chat: history has both messages once": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const { runId, final } = await turn(peer, sessionKey, FAST);
    const h = await history(peer, sessionKey);
    equal(h.sessionKey, sessionKey, "sessionKey is echoed");
    has(h, "sessionId", "messages");
    equal(h.messages.map((m) => m.role), ["user", "assistant"], "roles");
    ok(textOf(h.messages[0]).includes(FAST), "user text", h.messages[0]);
    equal(h.messages[0].idempotencyKey, `${runId}:user`, "user message's idempotencyKey");
    equal(textOf(h.messages[1]).trim(), textOf(final.message).trim(), "assistant text");
    for (const m of h.messages) ok(Number.isInteger(m.timestamp), "timestamp", m);
    await peer.close();
  },

  "chat: history pages from the newest": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    await turn(peer, sessionKey, `one ${FAST}`);
    await turn(peer, sessionKey, `two ${FAST}`);
    const newest = await history(peer, sessionKey, { limit: 2 });
    equal(newest.messages.map((m) => m.role), ["user", "assistant"], "roles of the newest page");
    ok(textOf(newest.messages[0]).includes("two"), "newest page", newest.messages[0]);
    equal(newest.hasMore, true, "hasMore");
    const older = await history(peer, sessionKey, { limit: 2, offset: 2 });
    ok(textOf(older.messages[0]).includes("one"), "older page", older.messages[0]);
    equal((await history(peer, key())).messages, [], "unknown session is empty");
    await peer.close();
  },

  "chat: second turn sees the first": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    await turn(peer, sessionKey, FAST);
    await turn(peer, sessionKey, FAST);
    equal((await history(peer, sessionKey)).messages.map((m) => m.role),
      ["user", "assistant", "user", "assistant"], "roles");
    await peer.close();
  },

  "chat: abort while the model streams": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const runId = randomUUID();
    await peer.request("chat.send", { sessionKey, message: SLOW, idempotencyKey: runId });
    await peer.chat(runId, "delta");
    const answer = await peer.request("chat.abort", { sessionKey, runId });
    equal(answer, { ok: true, aborted: true, runIds: [runId] }, "answer");
    const aborted = await peer.chat(runId, "aborted");
    equal(aborted.payload.stopReason, "rpc", "stopReason");
    orderly(peer.chats(runId), "aborted");
    const h = await history(peer, sessionKey);
    equal(h.messages.filter((m) => m.role === "user").length, 1, "user messages in history");
    const again = await peer.request("chat.send", { sessionKey, message: SLOW, idempotencyKey: runId });
    equal(again.runId, runId, "repeat after abort names the run");
    ok(["aborted", "ok", "timeout"].includes(again.status) || again.status === "error", "repeat does not start", again);
    equal((await peer.request("chat.abort", { sessionKey, runId })).aborted, false, "second abort");
    await peer.close();
  },

  "chat: abort of all runs of a session, of an unknown run": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const runId = randomUUID();
    await peer.request("chat.send", { sessionKey, message: SLOW, idempotencyKey: runId });
    equal(await peer.request("chat.abort", { sessionKey, runId: "nope" }), { ok: true, aborted: false, runIds: [] }, "unknown run");
    const answer = await peer.request("chat.abort", { sessionKey });
    equal(answer.runIds, [runId], "runIds");
    await peer.chat(runId, "aborted");
    await peer.close();
  },

  "chat: same key while running and after": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const runId = randomUUID();
    const params = { sessionKey, message: "count [fake ok chunks=8 delay=100]", idempotencyKey: runId };
    await peer.request("chat.send", params);
    await peer.chat(runId, "delta");
    equal(await peer.request("chat.send", params), { runId, status: "in_flight" }, "while it runs");
    await peer.chat(runId, "final");
    equal(await peer.request("chat.send", params), { runId, status: "ok" }, "after it ended");
    const conflict = await peer.refused("chat.send", { ...params, message: "other text" });
    equal(conflict.gatewayCode, "INVALID_REQUEST", "conflict code");
    equal(conflict.details?.reason, "chat-request-conflict", "conflict reason");
    equal((await history(peer, sessionKey)).messages.map((m) => m.role), ["user", "assistant"], "roles");
    await peer.close();
  },

  "chat: same key on another connection": async (t) => {
    const [a, b] = [await Peer.connect(t), await Peer.connect(t)];
    const sessionKey = key();
    const { runId } = await turn(a, sessionKey, FAST);
    equal((await b.request("chat.send", { sessionKey, message: FAST, idempotencyKey: runId })).status, "ok", "status");
    await a.close();
    await b.close();
  },

  "chat: an observer with read scope sees the turn": async (t) => {
    const sender = await Peer.connect(t);
    const observer = await Peer.connect(t, { scopes: ["operator.read"] });
    const blind = await Peer.connect(t, { scopes: ["operator.pairing"] });
    const { runId, chats } = await turn(sender, key(), FAST);
    await observer.chat(runId, "final");
    equal(observer.chats(runId).map((c) => c.state === "delta" ? "delta" : c.phase ?? c.state).filter((s, i, l) => s !== l[i - 1]),
      chats.map((c) => c.state === "delta" ? "delta" : c.phase ?? c.state).filter((s, i, l) => s !== l[i - 1]),
      "observer's states");
    ok(blind.events.items.every((e) => e.event !== "chat" && e.event !== "agent"), "without read scope nothing is seen");
    for (const p of [sender, observer, blind]) await p.close();
  },

  "chat: a bare session name, and main": async (t) => {
    const peer = await Peer.connect(t);
    const { final } = await turn(peer, "main", FAST);
    equal(final.sessionKey, "agent:main:main", "events carry the full key");
    equal((await history(peer, "main", { limit: 2 })).sessionKey, "main", "history echoes the key");
    await peer.close();
  },

  "chat: subscribed clients get session.message": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    equal(await peer.request("sessions.subscribe", {}), { subscribed: true }, "sessions.subscribe");
    const sub = await peer.request("sessions.messages.subscribe", { key: sessionKey });
    equal(sub.subscribed, true, "subscribed");
    equal(sub.key, sessionKey, "key");
    await turn(peer, sessionKey, FAST);
    for (const role of ["user", "assistant"]) {
      const e = await peer.event((e) => e.event === "session.message" && e.payload.message?.role === role &&
        e.payload.sessionKey === sessionKey, `session.message of ${role}`);
      has(e.payload, "messageId", "messageSeq");
    }
    await peer.event((e) => e.event === "sessions.changed" && e.payload.sessionKey === sessionKey, "sessions.changed");
    equal((await peer.request("sessions.messages.unsubscribe", { key: sessionKey })).subscribed, false, "unsubscribed");
    await peer.close();
  },

  "chat: late client sees the run in flight": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const runId = randomUUID();
    await peer.request("chat.send", { sessionKey, message: SLOW, idempotencyKey: runId });
    await peer.chat(runId, "delta");
    const late = await Peer.connect(t);
    const h = await history(late, sessionKey);
    equal(h.inFlightRun?.runId, runId, "inFlightRun.runId");
    ok(h.inFlightRun.text.length > 0, "inFlightRun.text", h.inFlightRun);
    await peer.request("chat.abort", { sessionKey });
    await peer.close();
    await late.close();
  },

  "chat: /stop aborts": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const runId = randomUUID();
    await peer.request("chat.send", { sessionKey, message: SLOW, idempotencyKey: runId });
    await peer.chat(runId, "delta");
    const stop = await peer.request("chat.send", { sessionKey, message: "/stop", idempotencyKey: randomUUID() });
    equal(stop, { ok: true, aborted: true, runIds: [runId] }, "answer");
    await peer.chat(runId, "aborted");
    await peer.close();
  },

  "chat: interrupt replaces the running turn": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const [a, b] = [randomUUID(), randomUUID()];
    await peer.request("chat.send", { sessionKey, message: SLOW, idempotencyKey: a });
    await peer.chat(a, "delta");
    const ack = await peer.request("chat.send", { sessionKey, message: FAST, idempotencyKey: b, queueMode: "interrupt" });
    equal(ack, { runId: b, status: "started", interruptedActiveRun: true }, "answer");
    equal((await peer.chat(a, "aborted")).payload.stopReason, "aborted", "stopReason");
    await peer.chat(b, "final");
    await peer.close();
  },

  "chat: followup waits its turn": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const [a, b] = [randomUUID(), randomUUID()];
    await peer.request("chat.send", { sessionKey, message: "count [fake ok chunks=8 delay=100]", idempotencyKey: a });
    await peer.chat(a, "delta");
    equal((await peer.request("chat.send", { sessionKey, message: `later ${FAST}`, idempotencyKey: b, queueMode: "followup" })).status, "started", "status");
    ok(!("message" in (await peer.chat(b, "final")).payload), "the queued run's final is empty");
    await peer.chat(a, "final");
    const fresh = await peer.event((e) => e.event === "chat" && e.payload.state === "final" && e.payload.sessionKey === sessionKey &&
      ![a, b].includes(e.payload.runId), "final of the follow-up run");
    ok(textOf(fresh.payload.message).length > 0, "it answers");
    equal((await history(peer, sessionKey)).messages.map((m) => m.role), ["user", "assistant", "user", "assistant"], "roles");
    await peer.close();
  },

  "chat: inject appends without a run": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    await turn(peer, sessionKey, FAST);
    const r = await peer.request("chat.inject", { sessionKey, message: "a note" });
    equal(r.ok, true, "ok");
    const final = await peer.chat(`inject-${r.messageId}`, "final");
    ok(textOf(final.payload.message).includes("a note"), "event", final.payload);
    ok(textOf((await history(peer, sessionKey)).messages.at(-1)).includes("a note"), "history");
    await peer.refused("chat.inject", { sessionKey: key(), message: "x" });
    await peer.close();
  },

  "agent: accepted, then final on the same id; agent.wait": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const runId = randomUUID();
    const params = { sessionKey, message: FAST, idempotencyKey: runId, deliver: false };
    let accepted;
    const done = peer.request("agent", params, { expectFinal: true, onAccepted: (p) => { accepted = p; } });
    const waited = await peer.request("agent.wait", { runId, timeoutMs: 15000 });
    equal(waited.status, "ok", "agent.wait");
    has(waited, "startedAt", "endedAt");
    equal((await done).status, "ok", "final answer on the same id");
    equal(accepted.runId, runId, "runId");
    equal(accepted.status, "accepted", "status");
    equal(accepted.sessionKey, sessionKey, "sessionKey");
    has(accepted, "agentId", "acceptedAt");
    const final = await peer.request("agent", params, { expectFinal: true });
    equal(final.status, "ok", "repeat answers the final");
    ok(final.result.payloads[0].text.length > 0, "result text", final.result);
    equal(await peer.request("agent.wait", { runId: "nope", timeoutMs: 100 }), { runId: "nope", status: "timeout" }, "unknown run");
    await peer.close();
  },

  "agent: the official client waits for the final answer": async (t) => {
    const peer = await Peer.connect(t);
    const final = await peer.request("agent", { sessionKey: key(), message: FAST, idempotencyKey: randomUUID(), deliver: false }, { expectFinal: true });
    equal(final.status, "ok", "status");
    equal(final.summary, "completed", "summary");
    has(final.result, "payloads", "meta");
    await peer.close();
  },

  // Last: the original lets a provider that refused a key rest for a while.
  "chat: a provider error is shown to the sender": async (t) => {
    const peer = await Peer.connect(t);
    const sessionKey = key();
    const runId = randomUUID();
    const params = { sessionKey, message: "fail [fake 401]", idempotencyKey: runId };
    await peer.request("chat.send", params);
    const e = await peer.chat(runId, "error", 60000);
    ok(e.payload.errorMessage?.length > 0, "errorMessage", e.payload);
    const again = await peer.refused("chat.send", params);
    equal(again.gatewayCode, "UNAVAILABLE", "repeat of a failed run");
    equal((await history(peer, sessionKey)).messages.filter((m) => m.role === "user").length, 1, "user messages");
    await peer.close();
  },
};
