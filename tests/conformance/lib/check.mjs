// lib/check.mjs - small assertions whose message says what was seen.

const short = (v) => {
  const s = JSON.stringify(v);
  return s === undefined ? "undefined" : s.length > 300 ? `${s.slice(0, 300)}…` : s;
};

export function ok(cond, what, seen) {
  if (!cond) throw new Error(seen === undefined ? what : `${what}; seen ${short(seen)}`);
}

export function equal(seen, want, what) {
  ok(JSON.stringify(seen) === JSON.stringify(want), `${what} should be ${short(want)}`, seen);
}

export function has(object, ...members) {
  for (const m of members) ok(object !== null && typeof object === "object" && m in object, `member ${m} is missing`, object);
}

/** Text of a message's content, whichever form it has. */
export function textOf(message) {
  const c = message?.content;
  if (typeof c === "string") return c;
  return (c ?? []).filter((p) => p.type === "text").map((p) => p.text).join("");
}
