// lib/schema.mjs - judges every frame a server sends by the protocol package's own JSON schema.
//
// Frames and errors are judged strictly. Payloads are judged by the definition that belongs to their
// event or to the method they answer. The published package (2026.9.1) is older than the server whose
// behaviour we follow (2026.9.6): members it does not know yet are listed one by one in NEWER.

import { readFileSync } from "node:fs";
import Ajv from "ajv";

// The package ships the schema as a file but does not export its path: it lies beside dist/.
const file = new URL("../protocol.schema.json", import.meta.resolve("@openclaw/gateway-protocol"));
export const schema = JSON.parse(readFileSync(file, "utf8"));

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema(schema, "protocol");

const EVENTS = {
  agent: "AgentEvent",
  tick: "TickEvent",
  shutdown: "ShutdownEvent",
};
const CHAT_STATES = {
  status: "ChatStatusEvent",
  delta: "ChatDeltaEvent",
  final: "ChatFinalEvent",
  aborted: "ChatAbortedEvent",
  error: "ChatErrorEvent",
};
const RESULTS = {
  "agents.list": "AgentsListResult",
  "models.list": "ModelsListResult",
  "agent.identity.get": "AgentIdentityResult",
  "logs.tail": "LogsTailResult",
  connect: "HelloOk",
};

// "Definition /path: member" that server 2026.9.6 sends and the package does not know.
const NEWER = new Set([
  "AgentEvent : sessionKey",
  "AgentEvent : sessionId",
  "AgentEvent : agentId",
  "AgentEvent : lane",
  "AgentEvent : session",
  "EventFrame : recipientProfileId",
  "HelloOk /auth: method",
  "HelloOk : controlUiLinkReaders",
  "HelloOk : canvasHostUrl", // of protocol 3: traces/v3-connect.jsonl
  "HelloOk /snapshot/health/eventLoop: cpuBreakdown",
  "HelloOk /snapshot/presence/*: clientId",
  "PresenceEntry : clientId",
  "ModelsListResult : defaultModels",
]);

const compiled = new Map();

function validator(name) {
  let v = compiled.get(name);
  if (!v) {
    v = ajv.compile({ $ref: `protocol#/definitions/${name}` });
    compiled.set(name, v);
  }
  return v;
}

/** Problems of `value` as a `name`, as short strings; empty when it is valid. */
export function problems(name, value) {
  const v = validator(name);
  if (v(value)) return [];
  const out = [];
  for (const e of v.errors) {
    const at = e.instancePath.replace(/\/\d+/g, "/*");
    if (e.keyword === "additionalProperties") {
      const member = e.params.additionalProperty;
      if (!NEWER.has(`${name} ${at}: ${member}`)) {
        out.push(`${name} ${at}: unexpected ${member}`);
      }
    } else {
      out.push(`${name} ${at}: ${e.message}${e.params.allowedValue ? ` ${e.params.allowedValue}` : ""}`);
    }
  }
  // In a union every branch complains; without a complaint of its own the union is fine.
  return out.every((p) => p.includes("must match a schema in anyOf")) ? [] : [...new Set(out)];
}

/** Problems of one frame; `method` is the request a response answers, if known. */
export function frameProblems(frame, method) {
  if (frame === null || typeof frame !== "object" || Array.isArray(frame)) return ["frame is not an object"];
  if (frame.type === "event") return eventProblems(frame);
  if (frame.type === "res") return responseProblems(frame, method);
  return [`frame type ${JSON.stringify(frame.type)} is not sent by servers`];
}

function eventProblems(frame) {
  const out = problems("EventFrame", frame);
  const p = frame.payload;
  if (frame.event === "chat") {
    const name = CHAT_STATES[p?.state];
    out.push(...(name ? problems(name, p) : [`chat state ${JSON.stringify(p?.state)} is unknown`]));
  } else if (frame.event === "presence") {
    if (!Array.isArray(p?.presence)) out.push("presence: no presence list");
    else for (const e of p.presence) out.push(...problems("PresenceEntry", e));
    if (!frame.stateVersion) out.push("presence: no stateVersion");
  } else if (frame.event === "health") {
    if (typeof p?.ok !== "boolean") out.push("health: no ok");
    if (!frame.stateVersion) out.push("health: no stateVersion");
  } else if (EVENTS[frame.event]) {
    out.push(...problems(EVENTS[frame.event], p));
  } else if (frame.event === "sessions.changed" && p?.session) {
    out.push(...rowProblems(p.session));
  }
  return out;
}

function rowProblems(row) {
  return problems("SessionRow", row);
}

function responseProblems(frame, method) {
  let out = problems("ResponseFrame", frame);
  // A request whose id is "" is refused, and the refusal must carry that very id.
  if (!frame.ok && frame.id === "") out = out.filter((p) => !p.startsWith("ResponseFrame /id:"));
  if (frame.ok && "error" in frame) out.push("ok response carries an error");
  if (!frame.ok && !frame.error) out.push("failed response carries no error");
  if (!frame.ok || !method) return out;
  const p = frame.payload;
  if (RESULTS[method]) out.push(...problems(RESULTS[method], p));
  if (method === "sessions.list") for (const row of p?.sessions ?? []) out.push(...rowProblems(row));
  if (method === "system-presence") {
    if (!Array.isArray(p)) out.push("system-presence: payload is not a bare array");
    else for (const e of p) out.push(...problems("PresenceEntry", e));
  }
  return out;
}
