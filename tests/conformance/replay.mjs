// replay.mjs - speaks captured conversations to a running gateway and compares what it answers.
//
//   node replay.mjs --url ws://127.0.0.1:18789 --token T --model http://127.0.0.1:9999 [--pid GATEWAY]
//                   [--only TEXT] [--traces DIR] [--slow] [--oracle] [--verbose]
//
// Compared: frame kinds in order, ok and error codes, members (ours may have more), event names and chat
// states per run, closes. Not compared: ids, times, texts, counts of deltas and of timed events. What may be
// absent is listed in replay-allow.mjs. --model is the control address of tests/fake/model.py; --pid lets the
// "shutdown" trace stop the gateway (it runs last); --slow adds the minute-long idle trace.

import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Peer, Raw } from "./lib/peer.mjs";
import { resetTap, tap } from "./lib/tap.mjs";
import { Device } from "./lib/device.mjs";
import { Names, loadTrace, speak } from "./lib/trace.mjs";
import { collapse, eventKind, orderDiff, responseDiff, runOf, shapeDiff } from "./lib/match.mjs";
import { ALWAYS, EXTRA_EVENTS, FREE_ORDER, LATER_EVENTS, LATER_METHODS, PROTOCOL_3, SPINE, STRICTER_CLOSES, TIMED } from "./replay-allow.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values: opt } = parseArgs({
  options: {
    url: { type: "string", default: process.env.GATEWAY_URL },
    token: { type: "string", default: process.env.GATEWAY_TOKEN },
    model: { type: "string", default: process.env.MODEL_URL },
    pid: { type: "string", default: process.env.GATEWAY_PID },
    traces: { type: "string", default: join(here, "traces") },
    only: { type: "string", default: "" },
    slow: { type: "boolean", default: false },
    oracle: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});
if (!opt.url || !opt.token || !opt.model) {
  console.error("usage: replay.mjs --url ws://HOST:PORT --token T --model http://HOST:PORT [--pid N] [--only TEXT] [--oracle]");
  process.exit(2);
}

const target = { url: opt.url, token: opt.token };
const STEP_MS = 15000; // longest wait for one expected frame
const PACE_MS = opt.oracle ? 2500 : 0; // the original finishes its books a while after a final
const DELAY_MS = opt.oracle ? 150 : 60; // between the model's chunks: long enough to act in between
const GRACE_MS = opt.oracle ? 700 : 150; // stragglers after everything expected has come
const TERMINAL = /^chat (final|aborted|error)$/;
const PROGRESS = /^(chat (status starting_model|delta)|agent (run_status starting_model|lifecycle start|assistant))$/;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const OWN_ORIGIN = opt.url.replace(/^ws/, "http").replace(/\/$/, "");
const ALL_SCOPES = ["admin", "read", "write", "approvals", "questions", "pairing", "talk.secrets"].map((s) => `operator.${s}`);

// What a capture needs around it: pace of the model, an Origin header, another client, a running past.
const STAGE = {
  "connect-control-ui-bad-origin": { origin: "http://evil.example" },
  "connect-control-ui-no-device": { origin: opt.url.replace(/^ws/, "http").replace(/\/$/, "") },
  // Devices: `paired` connects once before with these scopes, `proof` is how it proves itself; an Origin that is
  // not a control page's keeps a local device from being approved silently.
  "device-reconnect-devicetoken": { paired: ALL_SCOPES },
  "device-reconnect-token-field": { paired: ALL_SCOPES },
  "device-bad-devicetoken": { paired: ALL_SCOPES, badToken: true },
  "device-token-mismatch-hint": { paired: ALL_SCOPES },
  "device-payload-v2": { proof: { version: 2 } },
  "device-pem-key": { proof: { pem: true } },
  "device-bad-signature": { proof: { flip: true } },
  "device-stale": { proof: { shift: -121001 } },
  "device-wrong-nonce": { proof: { nonce: "00000000-0000-0000-0000-000000000000" } },
  "device-blank-nonce": { proof: { nonce: " " } },
  "device-wrong-id": { proof: { id: "a".repeat(64) } },
  "pairing-required": { origin: OWN_ORIGIN },
  "pairing-scope-upgrade": { origin: OWN_ORIGIN, paired: ["operator.read", "operator.write"] },
  "pairing-approved-reconnect": { paired: ["operator.read", "operator.write"] },
  "device-admin": { devices: true },
  "chat-send": { model: { chunks: 20, delay: 0 } },
  "chat-error": { model: { fault: 400 } },
  "chat-abort-midrun": { past: [["agent:main:slow", 1]] },
  "chat-history": { past: [["agent:main:q1", 2]] },
  "sessions-list": { past: [["agent:main:q1", 1], ["agent:main:a", 1], ["agent:main:b", 1], ["agent:main:c", 1]] },
  "chat-observer": { actor: { sessionKey: "agent:main:slow", runId: "slow-1" } },
  status: { past: [["agent:main:s", 1]] },
  health: { past: [["agent:main:s", 1]] },
  shutdown: { stop: "shut-1" },
};

async function control(plan) {
  const r = await fetch(`${opt.model}/control`, { method: "POST", body: JSON.stringify(plan) });
  if (!r.ok) throw new Error(`model control: ${r.status}`);
}

function allowedBy(rows, where) {
  return (path) => rows.some((r) => !r.opaque && r.where.test(where) && r.path.test(path));
}

function opaqueBy(rows, where) {
  return (path) => rows.some((r) => r.opaque && r.where.test(where) && r.path.test(path));
}

async function makePast(past, names) {
  const peer = await Peer.connect(target);
  for (const [key, turns] of past) {
    for (let i = 0; i < turns; i += 1) {
      const runId = `past-${names.suffix}-${key}-${i}`;
      await peer.request("chat.send", { sessionKey: names.ours(key), message: `past ${i} [fake ok chunks=20]`, idempotencyKey: runId });
      await peer.chat(runId, "final");
    }
  }
  if (opt.oracle) await sleep(PACE_MS);
  await peer.close();
}

/** One conversation: says the `out` lines when their time has come, keeps everything that arrives. */
class Conversation {
  constructor(name, lines) {
    this.name = name;
    this.stage = STAGE[name] ?? {};
    this.names = new Names(Math.random().toString(36).slice(2, 8));
    this.rows = [...ALWAYS, ...(opt.oracle ? [] : SPINE), ...(name.startsWith("v3-") ? PROTOCOL_3 : [])];
    this.lines = this.#relevant(lines);
    this.diffs = [];
    this.skipped = new Set();
  }

  /** Without events of runs that belonged to somebody else on the day of the capture. */
  #relevant(lines) {
    if (this.stage.actor) return lines;
    const ours = new Set();
    const sessions = new Set();
    for (const { dir, frame } of lines) {
      const p = dir === "out" ? frame?.params : undefined;
      if (!p) continue;
      for (const id of [p.idempotencyKey, p.runId]) if (id) ours.add(id);
      for (const key of [p.sessionKey, p.key]) if (key) sessions.add(key);
    }
    return lines.filter(({ dir, frame }) => {
      if (dir === "out" || frame?.type !== "event") return true;
      const run = runOf(frame);
      return run === undefined || ours.has(run) || sessions.has(frame.payload.sessionKey);
    });
  }

  get events() {
    return this.raw.frames.items.filter((f) => f.type === "event" && f.event !== "connect.challenge" && !this.#foreign(f));
  }

  /** Events of other tests' leftovers on the same gateway. */
  #foreign(f) {
    const key = f.payload?.sessionKey;
    return typeof key === "string" && key.startsWith("agent:") && this.names.theirs(key) === undefined;
  }

  /** Server-made run ids are paired in order of appearance. */
  pairRuns(upTo) {
    const theirs = [...new Set(this.lines.slice(0, upTo).filter((l) => l.dir === "in").map((l) => runOf(l.frame ?? {})).filter(Boolean))];
    const ours = [...new Set(this.events.map(runOf).filter(Boolean))];
    const bound = new Set(theirs.map((t) => this.bound.get(t)).filter(Boolean));
    const free = ours.filter((o) => !bound.has(o) && this.names.theirs(o) === undefined);
    for (const t of theirs) {
      if (this.bound.has(t)) continue;
      const said = this.said.has(t) ? this.names.ours(t) : free.shift();
      if (said) {
        this.bound.set(t, said);
        this.names.bind(t, said);
      }
    }
  }

  kindsOf(run) {
    return this.events.filter((f) => runOf(f) === run).map(eventKind);
  }

  async until(test, what, ms = STEP_MS) {
    const end = Date.now() + ms;
    while (!test()) {
      if (this.raw.closed.items.length > 0 && !test()) return this.diffs.push(`closed while waiting for ${what}`);
      if (Date.now() > end) return this.diffs.push(`never came: ${what}`);
      await sleep(10);
    }
  }

  responses(id) {
    return this.raw.frames.items.filter((f) => f.type === "res" && f.id === id);
  }

  /** Waits for what the capture had seen before line `n`: its responses, and how far each run had come. */
  async catchUp(n) {
    const before = this.lines.slice(0, n).filter((l) => l.dir === "in" && l.frame);
    const counts = new Map();
    for (const { frame } of before) if (frame.type === "res") counts.set(frame.id, (counts.get(frame.id) ?? 0) + 1);
    for (const [id, count] of counts) {
      if (this.skipped.has(id)) continue;
      await this.until(() => this.responses(id).length >= count || this.notServed(id), `answer ${count} to ${id}`);
      this.notServed(id);
    }
    const last = new Map();
    for (const { frame } of before) {
      const kind = frame.type === "event" && frame.event === "chat" ? eventKind(frame) : undefined;
      if (kind) last.set(runOf(frame), kind);
    }
    for (const [run, kind] of last) {
      await this.until(() => {
        this.pairRuns(n);
        const ours = this.kindsOf(this.bound.get(run));
        return ours.includes(kind) || ours.some((k) => TERMINAL.test(k));
      }, `${kind} of ${run}`);
    }
  }

  notServed(id) {
    const method = this.asked.get(id);
    const res = this.responses(id)[0];
    if (!opt.oracle && LATER_METHODS.has(method) && res?.error?.message === `unknown method: ${method}`) this.skipped.add(id);
    return this.skipped.has(id);
  }

  async run() {
    this.said = new Set();
    this.asked = new Map();
    this.bound = new Map();
    for (const l of this.lines) {
      const p = l.dir === "out" ? l.frame?.params : undefined;
      for (const id of [p?.idempotencyKey, p?.runId]) if (id) this.said.add(id);
      for (const key of [p?.sessionKey, p?.key]) if (key) this.names.ours(key);
    }
    if (this.stage.past) await makePast(this.stage.past, this.names);
    await control({ chunks: 20, delay: DELAY_MS, ...this.stage.model });
    this.device = new Device();
    if (this.stage.paired) this.deviceToken = (await this.deviceConnects(this.device, this.stage.paired)).payload?.auth?.deviceToken;
    this.raw = await Raw.open(target, this.stage.origin ? { origin: this.stage.origin } : {});
    const ctx = {
      token: opt.token,
      names: this.names,
      deviceToken: this.stage.badToken ? undefined : this.deviceToken,
      prove: (params) => this.device.proof(params, this.raw.challenge.payload, this.stage.proof),
    };
    if (this.stage.actor) await this.act();
    let spoken = 0;
    for (const [n, line] of this.lines.entries()) {
      if (line.dir !== "out") continue;
      if (this.stage.devices) await this.devicesAct(spoken, n);
      await this.catchUp(n);
      if (this.lines.slice(spoken, n).some((l) => TERMINAL.test(eventKind(l.frame ?? {})))) await sleep(PACE_MS);
      spoken = n;
      if (line.frame?.id !== undefined && line.frame?.method) this.asked.set(line.frame.id, line.frame.method);
      this.raw.ws.send(speak(line.frame, ctx));
    }
    if (this.stage.actor) await this.actor();
    if (this.stage.stop) {
      await this.until(() => this.kindsOf(this.names.ours(this.stage.stop)).includes("chat delta"), "chat delta");
      process.kill(Number(opt.pid), "SIGTERM");
    }
    await this.catchUp(this.lines.length);
    await this.until(() => this.complete(), "the rest", 5000).catch(() => {});
    await sleep(GRACE_MS);
    this.compare();
    this.raw.close();
    await control({});
  }

  /** The other client of chat-observer. */
  /** A connection of its own that comes with this device and leaves; its answer. */
  async deviceConnects(device, scopes, options = {}) {
    const raw = await Raw.open(target, options);
    const params = { minProtocol: 4, maxProtocol: 4, client: { id: "cli", version: "1.0.0", platform: "linux", mode: "cli" }, role: "operator", scopes, auth: { token: opt.token } };
    const res = await raw.call("connect", { ...params, device: device.proof(params, raw.challenge.payload) });
    raw.close();
    return res;
  }

  /** device-admin: what other devices did between two requests of the operator. */
  async devicesAct(from, to) {
    for (const { dir, frame } of this.lines.slice(from, to)) {
      const p = dir === "in" ? frame?.payload : undefined;
      if (!p) continue;
      if (frame.event === "device.pair.requested") {
        this.asking ??= new Device();
        const res = await this.deviceConnects(this.asking, p.scopes, { origin: OWN_ORIGIN });
        this.names.bind(p.requestId, res.error.details.requestId);
        this.names.bind(p.deviceId, this.asking.id);
        await this.until(() => this.events.some((f) => f.payload?.requestId === res.error.details.requestId), frame.event);
      } else if (frame.event === "device.pair.resolved" && this.names.known(p.requestId) === undefined) {
        await this.deviceConnects(this.device, ALL_SCOPES);
      } else if (frame.event === "device.pair.resolved" && p.decision === "approved") {
        await this.deviceConnects(this.asking, ["operator.read", "operator.write"]);
      }
    }
  }

  async act() {
    const { sessionKey, runId } = this.stage.actor;
    this.said.add(runId);
    const [key, run] = [this.names.ours(sessionKey), this.names.ours(runId)];
    const peer = await Peer.connect(target);
    this.actor = async () => {
      await this.until(() => this.responses("connect-1").length > 0, "hello");
      await peer.request("chat.send", { sessionKey: key, message: "stream please", idempotencyKey: run });
      await peer.chat(run, "final");
      await peer.close();
    };
  }

  expectedClose() {
    const close = this.lines.find((l) => l.close)?.close;
    if (!opt.oracle && STRICTER_CLOSES.has(this.name)) return STRICTER_CLOSES.get(this.name);
    return close && close.code !== 1005 ? close : undefined; // 1005: the capturing client hung up
  }

  complete() {
    this.pairRuns(this.lines.length);
    if (this.expectedClose()) return this.raw.closed.items.length > 0;
    return this.missingKinds().length === 0;
  }

  /** Event kinds of the capture that never came, per run or on the connection. */
  missingKinds() {
    const out = [];
    const wanted = new Map();
    for (const { dir, frame } of this.lines) {
      if (dir !== "in" || frame?.type !== "event" || frame.event === "connect.challenge") continue;
      const run = runOf(frame) ?? "";
      if (!wanted.has(run)) wanted.set(run, new Set());
      wanted.get(run).add(eventKind(frame));
    }
    for (const [run, kinds] of wanted) {
      const have = run ? this.kindsOf(this.bound.get(run)) : this.events.map(eventKind);
      for (const k of kinds) if (!TIMED.test(k) && !have.includes(k) && !this.laterEvent(k)) out.push(run ? `${k} of ${run}` : k);
    }
    return out;
  }

  laterEvent(kind) {
    return LATER_EVENTS.some((r) => r.kind.test(kind) && (r.always || !opt.oracle));
  }

  compare() {
    this.pairRuns(this.lines.length);
    this.compareResponses();
    this.compareEvents();
    this.compareClose();
  }

  compareResponses() {
    const theirs = new Map();
    for (const { dir, frame } of this.lines) {
      if (dir !== "in" || frame?.type !== "res") continue;
      if (!theirs.has(frame.id)) theirs.set(frame.id, []);
      theirs.get(frame.id).push(frame);
    }
    for (const [id, frames] of theirs) {
      if (this.skipped.has(id)) continue;
      const method = id === "connect-1" ? "connect" : this.asked.get(id);
      const where = `res ${method}`;
      const ours = this.responses(id);
      if (ours.length !== frames.length) this.diffs.push(`${where} ${id}: ${ours.length} answers, was ${frames.length}`);
      for (const [i, frame] of frames.entries()) {
        if (!ours[i]) continue;
        for (const d of responseDiff(frame, ours[i], opaqueBy(this.rows, where), allowedBy(this.rows, where))) this.diffs.push(`${where} ${id}: ${d}`);
      }
    }
    for (const f of this.raw.frames.items) {
      if (f.type === "res" && !theirs.has(f.id)) this.diffs.push(`answer to ${JSON.stringify(f.id)} was not in the capture`);
    }
  }

  compareEvents() {
    for (const k of this.missingKinds()) this.diffs.push(`event never came: ${k}`);
    const inbound = this.lines.filter((l) => l.dir === "in" && l.frame?.type === "event" && l.frame.event !== "connect.challenge").map((l) => l.frame);
    const kinds = new Map();
    for (const f of inbound) {
      const k = eventKind(f);
      if (!kinds.has(k)) kinds.set(k, []);
      kinds.get(k).push(f);
    }
    for (const [k, frames] of kinds) {
      const ours = this.events.filter((f) => eventKind(f) === k);
      if (ours.length === 0) continue;
      for (const d of shapeDiff(frames.map((f) => f.payload), ours.map((f) => f.payload), opaqueBy(this.rows, k), allowedBy(this.rows, k))) this.diffs.push(`${k}: ${d}`);
    }
    const openRuns = inbound.some((f) => runOf(f) && this.isOpen(inbound, runOf(f)));
    for (const k of new Set(this.events.map(eventKind))) {
      if (PROGRESS.test(k) && [...kinds.keys()].includes("chat aborted")) continue; // we were quicker than the abort
      if (openRuns && /^agent lifecycle|^chat (final|aborted|error)/.test(k)) continue;
      if (!kinds.has(k) && !TIMED.test(k) && !EXTRA_EVENTS.test(k)) this.diffs.push(`event ${k} was not in the capture`);
    }
    for (const [theirs, ours] of this.bound) {
      for (const family of ["chat ", "agent "]) {
        const a = inbound.filter((f) => runOf(f) === theirs).map(eventKind).filter((k) => k.startsWith(family));
        const b = this.kindsOf(ours).filter((k) => k.startsWith(family));
        const aborted = inbound.some((f) => runOf(f) === theirs && eventKind(f) === "chat aborted");
        const optional = (k) => FREE_ORDER.test(k) || this.laterEvent(k) || (aborted && PROGRESS.test(k) && !a.includes(k));
        for (const d of orderDiff(dedupeErrors(a), dedupeErrors(b), optional, this.isOpen(inbound, theirs))) this.diffs.push(`${family}events of ${theirs}: ${d}`);
      }
    }
  }

  /** The capture ended before this run did. */
  isOpen(inbound, run) {
    return !inbound.some((f) => runOf(f) === run && TERMINAL.test(eventKind(f)));
  }

  compareClose() {
    const want = this.expectedClose();
    const seen = this.raw.closed.items[0];
    if (!want && seen) this.diffs.push(`closed ${seen.code} "${seen.reason}", was not closed`);
    if (want && !seen) this.diffs.push(`not closed, was ${want.code} "${want.reason}"`);
    const words = (r) => r.replace(/^(invalid connect params: ).*/, "$1").replace(/\(requestId: .*/, ""); // only the prefix is relied upon
    if (want && seen && (want.code !== seen.code || words(want.reason) !== words(seen.reason))) {
      this.diffs.push(`closed ${seen.code} "${seen.reason}", was ${want.code} "${want.reason}"`);
    }
  }
}

// A failing run may repeat its error, an aborted one its end.
const dedupeErrors = (kinds) => collapse(kinds).filter((k, i, l) => !/ error$/.test(k) || l.indexOf(k) === i);

function chosen() {
  const all = readdirSync(opt.traces).filter((f) => f.endsWith(".jsonl")).map((f) => f.slice(0, -6)).sort();
  const skip = (name) =>
    (name === "idle-tick" && !opt.slow) || (name === "shutdown" && !opt.pid) ||
    (opt.oracle && name.startsWith("v3-")) || // the original of today refuses protocol 3
    (!opt.oracle && name === "connect-protocol-3-only"); // we serve it
  const names = all.filter((n) => n.includes(opt.only) && !skip(n));
  return [...names.filter((n) => n !== "shutdown"), ...names.filter((n) => n === "shutdown")];
}

let passed = 0;
let failed = 0;
for (const name of chosen()) {
  resetTap();
  const began = performance.now();
  const talk = new Conversation(name, loadTrace(join(opt.traces, `${name}.jsonl`)));
  try {
    await talk.run();
  } catch (error) {
    talk.diffs.push(opt.verbose ? error.stack : error.message);
    talk.raw?.close();
  }
  const reasons = [...new Set(talk.diffs)];
  if (!name.startsWith("v3-")) reasons.push(...tap.problems.map((p) => `schema: ${p}`));
  const note = talk.skipped.size ? `, ${talk.skipped.size} requests not served yet` : "";
  const took = `${Math.round(performance.now() - began)} ms${note}`;
  if (reasons.length === 0) {
    passed += 1;
    console.log(`ok    ${name} (${took})`);
  } else {
    failed += 1;
    console.log(`FAIL  ${name} (${took})`);
    const shown = opt.verbose ? reasons : reasons.slice(0, 20);
    for (const r of shown) console.log(`      ${r}`);
    if (shown.length < reasons.length) console.log(`      … ${reasons.length - shown.length} more`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
