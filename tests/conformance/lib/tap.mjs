// lib/tap.mjs - sees every frame on every WebSocket of this process, the official client's included.
//
// The client owns its socket, so we listen underneath it: in `ws` itself. Each server frame is judged
// by the schema when it arrives, and each connection's event numbers must rise by one from 1.

import { WebSocket } from "ws";
import { frameProblems } from "./schema.mjs";

export const tap = { frames: 0, problems: [], log: [] };

const connections = new WeakMap();
let nextConnection = 1;

function stateOf(ws) {
  let s = connections.get(ws);
  if (!s) {
    s = { n: nextConnection++, seq: 0, methods: new Map() };
    connections.set(ws, s);
  }
  return s;
}

function complain(s, frame, problem) {
  const what = frame?.event ?? frame?.id ?? "?";
  const line = `conn ${s.n} ${frame?.type ?? "frame"} ${what}: ${problem}`;
  if (!tap.problems.includes(line) && tap.problems.length < 200) tap.problems.push(line);
}

function received(ws, data, isBinary) {
  const s = stateOf(ws);
  tap.frames += 1;
  if (isBinary) return complain(s, null, "server sent a binary frame");
  let frame;
  try {
    frame = JSON.parse(data.toString("utf8"));
  } catch (error) {
    const text = data.toString("utf8");
    const at = Number(/position (\d+)/.exec(error.message)?.[1] ?? 0);
    return complain(s, null, `server sent text that is not JSON, about here: ${text.slice(Math.max(0, at - 60), at + 20)}`);
  }
  const method = frame.type === "res" ? s.methods.get(String(frame.id)) : undefined;
  tap.log.push({ conn: s.n, method, frame });
  for (const p of frameProblems(frame, method)) complain(s, frame, p);
  if (frame.type === "event" && frame.event !== "connect.challenge") {
    if (frame.seq !== s.seq + 1) complain(s, frame, `seq ${frame.seq} follows ${s.seq}`);
    s.seq = frame.seq ?? s.seq;
  }
}

function sent(ws, data) {
  if (typeof data !== "string") return;
  try {
    const frame = JSON.parse(data);
    if (frame && frame.type === "req") stateOf(ws).methods.set(String(frame.id), frame.method);
  } catch {
    // deliberately broken input: nothing to remember
  }
}

const emit = WebSocket.prototype.emit;
WebSocket.prototype.emit = function (event, ...args) {
  if (event === "message") received(this, args[0], args[1]);
  return emit.call(this, event, ...args);
};
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data, ...args) {
  sent(this, data);
  return send.call(this, data, ...args);
};

/** Forgets problems and frames seen so far; returns how many frames there were. */
export function resetTap() {
  const n = tap.frames;
  tap.frames = 0;
  tap.problems = [];
  tap.log = [];
  return n;
}
