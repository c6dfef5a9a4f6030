// openai.mjs - the official OpenAI package against a running gateway; one line a case.
//
//   node openai.mjs --url ws://127.0.0.1:18789 --token T [--only TEXT]
//
// The gateway's model provider must be tests/fake/model.py: prompts carry its directives.

import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import OpenAI from "openai";

const { values: opt } = parseArgs({
  options: {
    url: { type: "string", default: process.env.GATEWAY_URL },
    token: { type: "string", default: process.env.GATEWAY_TOKEN },
    only: { type: "string", default: "" },
  },
});
if (!opt.url || !opt.token) {
  console.error("usage: openai.mjs --url ws://HOST:PORT --token T [--only TEXT]");
  process.exit(2);
}

const base = opt.url.replace(/^ws/, "http") + "/v1";
const client = new OpenAI({ apiKey: opt.token, baseURL: base, maxRetries: 2 });
const model = "openclaw/default";
const user = (content) => [{ role: "user", content }];
const words = (n, text = "word") => Array.from({ length: n }, (_, i) => `${text}${i}`);
const split = (text) => text.trim().split(/\s+/);
const tools = [{
  type: "function",
  function: { name: "look", description: "Looks.", parameters: { type: "object", properties: { x: { type: "number" } } } },
}];
const toolsOfResponses = tools.map((t) => ({ type: "function", strict: false, ...t.function }));

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

const cases = {
  "models are listed": async () => {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    assert.ok(ids.includes("openclaw") && ids.includes("openclaw/default"), ids.join());
  },
  "one model": async () => {
    assert.equal((await client.models.retrieve("openclaw/default")).id, "openclaw/default");
    await assert.rejects(client.models.retrieve("nobody"), (e) => e instanceof OpenAI.BadRequestError && /Invalid model id/.test(e.message));
  },
  "chat": async () => {
    const r = await client.chat.completions.create({ model, messages: user("hello [fake ok chunks=4]") });
    assert.deepEqual(split(r.choices[0].message.content), words(4));
    assert.equal(r.choices[0].finish_reason, "stop");
    assert.deepEqual(r.usage, { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 });
  },
  "chat, streamed": async () => {
    const s = await client.chat.completions.create({ model, stream: true, messages: user("hello [fake ok chunks=6 delay=5]") });
    assert.deepEqual(split(await textOf(s)), words(6));
  },
  "chat, the stream helper with usage": async () => {
    const runner = client.chat.completions.stream({ model, messages: user("hi [fake ok chunks=3]"), stream_options: { include_usage: true } });
    let seen = "";
    runner.on("content", (delta) => { seen += delta; });
    const end = await runner.finalChatCompletion();
    assert.deepEqual(split(seen), words(3));
    assert.equal(end.usage.total_tokens, 13);
  },
  "tool calls and their results": async () => {
    const messages = user("look there [fake call]");
    const r = await client.chat.completions.create({ model, messages, tools });
    const m = r.choices[0].message;
    assert.equal(r.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(JSON.parse(m.tool_calls[0].function.arguments), { x: 1 });
    const next = await client.chat.completions.create({
      model, tools, messages: [...messages, m, { role: "tool", tool_call_id: m.tool_calls[0].id, content: "a tree" }],
    });
    assert.equal(next.choices[0].message.content, "result: a tree");
  },
  "tool calls run by the package": async () => {
    const runner = client.chat.completions.runTools({
      model, messages: user("look again [fake call]"),
      tools: [{ type: "function", function: { ...tools[0].function, parse: JSON.parse, function: async ({ x }) => `saw ${x}` } }],
    });
    assert.equal(await runner.finalContent(), "result: saw 1");
  },
  "tool calls, streamed": async () => {
    const runner = client.chat.completions.stream({ model, messages: user("[fake call chunks=2]"), tools });
    const end = await runner.finalChatCompletion();
    assert.equal(end.choices[0].message.tool_calls[0].function.name, "look");
    assert.deepEqual(split(end.choices[0].message.content), words(2));
  },
  "embeddings": async () => {
    const r = await client.embeddings.create({ model, input: ["one", "three"] }); // the package asks for base64
    assert.deepEqual(r.data.map((d) => [d.index, d.embedding.length, d.embedding[0]]), [[0, 8, 3], [1, 8, 5]]);
    const f = await client.embeddings.create({ model, input: "four", encoding_format: "float", dimensions: 5 });
    assert.deepEqual([f.data[0].embedding.length, f.data[0].embedding[0], f.usage.total_tokens], [5, 4, 4]);
    assert.deepEqual(Array.from(r.data[0].embedding).map((x) => x.toFixed(6)).length, 8);
    await assert.rejects(client.embeddings.create({ model: "text-embedding-3-small", input: "x" }), (e) => e instanceof OpenAI.BadRequestError);
  },
  "embeddings, 20 at once": async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => client.embeddings.create({ model, input: words(i + 1, "w".repeat(i + 1)) })));
    all.forEach((r, i) => assert.deepEqual(r.data.map((d) => d.embedding[0]), words(i + 1, "w".repeat(i + 1)).map((w) => w.length)));
  },
  "responses": async () => {
    const r = await client.responses.create({ model, input: "hello [fake ok chunks=3]", instructions: "Be kind." });
    assert.deepEqual(split(r.output_text), words(3));
    assert.equal(r.status, "completed");
    assert.equal(r.usage.total_tokens, 13);
  },
  "responses, streamed": async () => {
    const seen = [];
    const runner = client.responses.stream({ model, input: "hello [fake ok chunks=3 delay=5]" });
    runner.on("event", (e) => seen.push(e.type));
    const end = await runner.finalResponse();
    assert.deepEqual(split(end.output_text), words(3));
    for (const type of ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
      "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
      "response.completed"]) assert.ok(seen.includes(type), `${type} of ${seen.join()}`);
  },
  "responses, a conversation by id, with tools": async () => {
    const first = await client.responses.create({ model, input: "look [fake call]", tools: toolsOfResponses });
    const call = first.output.find((o) => o.type === "function_call");
    assert.deepEqual([call.name, JSON.parse(call.arguments)], ["look", { x: 1 }]);
    const next = await client.responses.create({
      model, tools: toolsOfResponses, previous_response_id: first.id,
      input: [{ type: "function_call_output", call_id: call.call_id, output: "a boat" }],
    });
    assert.equal(next.output_text, "result: a boat");
    const own = await client.responses.create({
      model, tools: toolsOfResponses,
      input: [{ role: "user", content: "look [fake call]" }, ...first.output,
        { type: "function_call_output", call_id: call.call_id, output: "a house" }],
    });
    assert.equal(own.output_text, "result: a house");
  },
  "responses, tool calls streamed": async () => {
    const end = await client.responses.stream({ model, input: "[fake call]", tools: toolsOfResponses, tool_choice: "required" }).finalResponse();
    assert.equal(end.output[0].type, "function_call");
  },
  "abort": async () => {
    const stop = new AbortController();
    const s = await client.chat.completions.create(
      { model, stream: true, messages: user("endless [fake endless delay=5]") }, { signal: stop.signal });
    let n = 0;
    await (async () => { for await (const _ of s) if (++n === 5) stop.abort(); })().catch((e) => assert.ok(e instanceof OpenAI.APIUserAbortError, e));
    assert.ok(n >= 5);
    assert.ok((await client.chat.completions.create({ model, messages: user("and now? [fake ok chunks=1]") })).choices[0]);
  },
  "20 streams side by side": async () => {
    const texts = await Promise.all(words(20).map(async (_, i) => textOf(await client.chat.completions.create(
      { model, stream: true, messages: user(`side ${i} [fake ok chunks=30 delay=3 text=s${i}_]`) }))));
    texts.forEach((text, i) => assert.deepEqual(split(text), words(30, `s${i}_`)));
  },
  // last: so many failures make the gateway spare this provider for a while
  "errors have their classes": async () => {
    const bad = new OpenAI({ apiKey: "wrong", baseURL: base, maxRetries: 0 });
    await assert.rejects(bad.models.list(), (e) => e instanceof OpenAI.AuthenticationError);
    await assert.rejects(client.chat.completions.create({ model, messages: [] }),
      (e) => e instanceof OpenAI.BadRequestError && e.type === "invalid_request_error" && /Missing user message/.test(e.message));
    await assert.rejects(client.chat.completions.create({ model, messages: user("busy [fake 429]") }), (e) => e instanceof OpenAI.RateLimitError);
    await assert.rejects(client.chat.completions.create({ model, messages: user("broken [fake 500]") }), (e) => e instanceof OpenAI.InternalServerError);
    await assert.rejects((async () => textOf(await client.chat.completions.create(
      { model, stream: true, messages: user("cut [fake cut chunks=2 delay=100]") })))(), (e) => e instanceof OpenAI.APIError);
    await assert.rejects(client.responses.create({ model, input: [] }), (e) => e instanceof OpenAI.BadRequestError);
    await assert.rejects(client.responses.create({ model, input: "x", previous_response_id: "resp_0" }), (e) => e instanceof OpenAI.BadRequestError);
  },
};

let failed = 0;
let passed = 0;
for (const [name, run] of Object.entries(cases)) {
  if (!name.includes(opt.only)) continue;
  const began = performance.now();
  try {
    await run();
    passed += 1;
    console.log(`ok    ${name} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error.stack).split("\n").slice(0, 6).join("\n      ")}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
