// run.mjs - the official client against a running gateway; one line a case.
//
//   node run.mjs --url ws://127.0.0.1:18789 --token T [--only TEXT] [--oracle] [--verbose]
//
// The gateway's model provider must be tests/fake/model.py: prompts carry its directives.
// --oracle: the target is the original; cases where we are deliberately different expect its way.

import { parseArgs } from "node:util";
import { resetTap, tap } from "./lib/tap.mjs";
import { cases as connect } from "./cases/connect.mjs";
import { cases as errors } from "./cases/errors.mjs";
import { cases as reads } from "./cases/reads.mjs";
import { cases as chat } from "./cases/chat.mjs";

const { values: opt } = parseArgs({
  options: {
    url: { type: "string", default: process.env.GATEWAY_URL },
    token: { type: "string", default: process.env.GATEWAY_TOKEN },
    only: { type: "string", default: "" },
    oracle: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});
if (!opt.url || !opt.token) {
  console.error("usage: run.mjs --url ws://HOST:PORT --token T [--only TEXT] [--oracle]");
  process.exit(2);
}

const target = { url: opt.url, token: opt.token, oracle: opt.oracle };
const CASE_MS = 90000;
let passed = 0;
let failed = 0;

async function one(name, run) {
  resetTap();
  const began = performance.now();
  const reasons = [];
  let timer;
  try {
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("case took too long")), CASE_MS);
    });
    await Promise.race([run(target), late]);
  } catch (error) {
    reasons.push(opt.verbose ? error.stack : error.message);
  } finally {
    clearTimeout(timer);
  }
  reasons.push(...tap.problems.map((p) => `schema: ${p}`));
  const took = `${Math.round(performance.now() - began)} ms, ${tap.frames} frames`;
  if (reasons.length === 0) {
    passed += 1;
    console.log(`ok    ${name} (${took})`);
  } else {
    failed += 1;
    console.log(`FAIL  ${name} (${took})`);
    for (const r of reasons.slice(0, 12)) console.log(`      ${r}`);
    if (reasons.length > 12) console.log(`      … ${reasons.length - 12} more`);
  }
}

for (const [name, run] of Object.entries({ ...connect, ...errors, ...reads, ...chat })) {
  if (name.includes(opt.only)) await one(name, run);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
