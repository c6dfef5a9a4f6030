// lib/trace.mjs - reads a captured conversation and makes it speakable to another gateway.
//
// A trace line is {dir, t_ms, frame} as the client saw it; a close is {frame: null, close}. Tokens, run ids,
// session names and device proofs of the capture are replaced by ours; everything else is sent as it was.

import { readFileSync } from "node:fs";

export function loadTrace(file) {
  return readFileSync(file, "utf8").split("\n").filter(Boolean).map((line, i) => ({ ...JSON.parse(line), line: i + 1 }));
}

/** Ids of the capture <-> ids of this replay. */
export class Names {
  #ours = new Map();
  #theirs = new Map();

  constructor(suffix) {
    this.suffix = suffix;
  }

  bind(theirs, ours) {
    this.#ours.set(theirs, ours);
    this.#theirs.set(ours, theirs);
  }

  ours(theirs) {
    if (!this.#ours.has(theirs)) this.bind(theirs, `${theirs}-${this.suffix}`);
    return this.#ours.get(theirs);
  }

  /** Only what was bound. */
  known(theirs) {
    return this.#ours.get(theirs);
  }

  theirs(ours) {
    return this.#theirs.get(ours);
  }
}

const SESSION_MEMBERS = new Set(["sessionKey", "key"]);
const PAIR_MEMBERS = new Set(["requestId", "deviceId"]);
const RUN_MEMBERS = new Set(["idempotencyKey", "runId"]);

function session(name, names) {
  // "never" and "nope" are sessions that must not exist; "main" is everybody's
  return name === "main" || name.endsWith(":main") || /:(never|nope)$/.test(name) ? name : names.ours(name);
}

/** Params of a request with our ids in them. */
export function renamed(value, names, member = "") {
  if (typeof value === "string") {
    if (SESSION_MEMBERS.has(member)) return session(value, names);
    if (RUN_MEMBERS.has(member)) return names.ours(value);
    if (PAIR_MEMBERS.has(member)) return names.known(value) ?? value;
    return value;
  }
  if (Array.isArray(value)) {
    const inner = { keys: "sessionKey", inputRunIds: "runId" }[member] ?? "";
    return value.map((v) => renamed(v, names, inner));
  }
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, renamed(v, names, k)]));
}

/** "<device-token-1>": the token of our device. */
function deviceToken(value, ctx) {
  return typeof value === "string" && value.startsWith("<device-token-") ? ctx.deviceToken ?? "A".repeat(43) : value;
}

/** What goes on the wire for an `out` line: a string, or a Buffer for a binary message. */
export function speak(frame, ctx) {
  const connect = () => ({
    type: "req", id: "connect-1", method: "connect",
    params: {
      minProtocol: 4, maxProtocol: 4, role: "operator", scopes: ["operator.admin"], caps: ["tool-events"],
      client: { id: "gateway-client", version: "1.0.0", platform: "linux", mode: "backend" },
      auth: { token: ctx.token },
    },
  });
  const padded = (size) => {
    const f = connect();
    f.params.userAgent = "";
    f.params.userAgent = "x".repeat(size - JSON.stringify(f).length);
    return JSON.stringify(f);
  };
  switch (frame) {
    case "<binary connect>": return Buffer.from(JSON.stringify(connect()));
    case "<65536 connect>": return padded(65536);
    case "<65537>": return padded(65537);
    case "<70000 bytes of text>": return "x".repeat(70000);
  }
  if (typeof frame === "string") return frame;
  if (frame === null || typeof frame !== "object" || Array.isArray(frame) || !frame.params) return JSON.stringify(frame);
  const params = renamed(frame.params, ctx.names);
  if (frame.method === "connect" && params.auth?.token === "<gateway-token>") params.auth.token = ctx.token;
  if (frame.method === "connect" && params.auth) {
    for (const [k, v] of Object.entries(params.auth)) params.auth[k] = deviceToken(v, ctx);
  }
  if (frame.method === "connect" && params.device) params.device = ctx.prove(params);
  return JSON.stringify({ ...frame, params });
}
