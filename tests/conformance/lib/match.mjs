// lib/match.mjs - compares two conversations loosely: shapes and order, never ids, times or texts.
//
// Pure functions over arrays of frames; what may differ is decided by the caller through `allowed`.

const kindOf = (v) => (v === null ? "null" : Array.isArray(v) ? "array" : typeof v);
const cut = (v) => typeof v === "string" && v.startsWith("…");

/** path -> set of kinds, over all of `values`; array elements share the path "[]". */
function shapeOf(values, isOpaque) {
  const shape = new Map();
  const visit = (v, path) => {
    if (cut(v)) return;
    if (!shape.has(path)) shape.set(path, new Set());
    shape.get(path).add(kindOf(v));
    if (isOpaque(path)) return;
    if (Array.isArray(v)) for (const x of v) visit(x, `${path}[]`);
    else if (v !== null && typeof v === "object") for (const [k, x] of Object.entries(v)) if (!cut(k)) visit(x, `${path}.${k}`);
  };
  for (const v of values) visit(v, "");
  return shape;
}

const parentOf = (path) => path.replace(/(\.[^.[]*|\[\])$/, "");

/** What `theirs` (values of the capture) has and `ours` lacks, as lines; a missing parent is named once. */
export function shapeDiff(theirs, ours, isOpaque = () => false, allowed = () => false) {
  const want = shapeOf(theirs, isOpaque);
  const have = shapeOf(ours, isOpaque);
  const out = [];
  const missing = new Set();
  for (const [path, kinds] of want) {
    if (missing.has(parentOf(path)) && path !== "") {
      missing.add(path);
      continue;
    }
    const seen = have.get(path);
    if (!seen) {
      missing.add(path);
      if (!allowed(path)) out.push(`${path || "payload"} is missing`);
      continue;
    }
    if (seen.has("null") || kinds.has("null")) {
      if (![...seen].some((k) => kinds.has(k))) missing.add(path); // nothing to look for inside null
      continue;
    }
    if (![...seen].some((k) => kinds.has(k)) && !allowed(path)) {
      out.push(`${path || "payload"} is ${[...seen].join("/")}, was ${[...kinds].join("/")}`);
    }
  }
  return out;
}

/** The kind of an event for ordering: "chat status preparing_context", "agent lifecycle start", "tick". */
export function eventKind(frame) {
  const p = frame.payload ?? {};
  if (frame.event === "chat") return `chat ${p.state}${p.state === "status" ? ` ${p.phase}` : ""}`;
  if (frame.event === "agent") return `agent ${p.stream}${p.data?.phase ? ` ${p.data.phase}` : ""}`;
  return frame.event;
}

export const runOf = (frame) => (frame.event === "chat" || frame.event === "agent" ? frame.payload?.runId : undefined);

/** Consecutive equal entries become one. */
export const collapse = (list) => list.filter((x, i) => i === 0 || x !== list[i - 1]);

/** Differences between two orders of kinds, after what `optional` says is taken out of both.
 *  `open`: the capture ended before its events did, so ours may go on. */
export function orderDiff(theirs, ours, optional, open) {
  const a = collapse(theirs.filter((k) => !optional(k)));
  let b = collapse(ours.filter((k) => !optional(k)));
  if (open) b = b.slice(0, a.length);
  if (a.join("\n") === b.join("\n")) return [];
  return [`order is [${b.join(", ")}], was [${a.join(", ")}]`];
}

/** Compares two responses of one request. */
export function responseDiff(theirs, ours, isOpaque, allowed) {
  if (theirs.ok !== ours.ok) {
    return [`ok is ${ours.ok}, was ${theirs.ok}${ours.error ? ` (${ours.error.code} ${ours.error.message})` : ""}`];
  }
  const out = [];
  if (!theirs.ok) {
    for (const get of [["error.code", (f) => f.error?.code], ["error.details.code", (f) => f.error?.details?.code],
      ["error.details.reason", (f) => f.error?.details?.reason], ["error.details.missingScope", (f) => f.error?.details?.missingScope]]) {
      const [a, b] = [get[1](theirs), get[1](ours)];
      if (a !== b && !allowed(`.${get[0]}`)) out.push(`${get[0]} is ${b}, was ${a}`);
    }
    out.push(...shapeDiff([theirs.error], [ours.error], isOpaque, (p) => allowed(`.error${p}`)).map((d) => `error${d}`));
    const [a, b] = [theirs, ours].map((f) => f.error?.message ?? "");
    const prefix = /^(invalid [\w.-]+ params: |invalid request frame: |missing scope: [\w.]+|unknown method: |unauthorized|pairing required|protocol mismatch|device identity required|origin not allowed)/.exec(a)?.[0];
    if (prefix && !b.startsWith(prefix) && !allowed(".error.message")) out.push(`error.message is "${b}", was "${a}"`);
  }
  if ("payload" in theirs && ours.payload !== null) {
    out.push(...shapeDiff([theirs.payload], [ours.payload], isOpaque, allowed));
    for (const member of ["status", "aborted", "interruptedActiveRun", "subscribed"]) {
      const [a, b] = [theirs.payload?.[member], ours.payload?.[member]];
      if (kindOf(a) !== "object" && a !== b && !allowed(`.${member}=`)) out.push(`${member} is ${JSON.stringify(b)}, was ${JSON.stringify(a)}`);
    }
  }
  return out;
}
