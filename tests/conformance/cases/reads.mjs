// cases/reads.mjs - methods that only read: each answers, with the members clients rely on.

import { randomUUID } from "node:crypto";
import { equal, has, ok } from "../lib/check.mjs";
import { Peer } from "../lib/peer.mjs";

async function with_(t, run) {
  const peer = await Peer.connect(t);
  try {
    await run(peer);
  } finally {
    await peer.close();
  }
}

/** A session with one finished turn; returns its key. */
async function someSession(peer) {
  const sessionKey = `agent:main:c-${randomUUID()}`;
  const runId = randomUUID();
  await peer.request("chat.send", { sessionKey, message: "hi [fake ok chunks=2]", idempotencyKey: runId });
  await peer.chat(runId, "final");
  return sessionKey;
}

export const cases = {
  "read: health": (t) => with_(t, async (p) => {
    const h = await p.request("health");
    has(h, "ok", "ts", "durationMs", "channels", "channelOrder", "channelLabels", "heartbeatSeconds", "defaultAgentId", "agents", "sessions");
    equal(h.ok, true, "ok");
    has(h.agents[0], "agentId", "isDefault", "heartbeat", "sessions");
    has(h.sessions, "path", "count", "recent");
    ok(Math.abs(h.ts - Date.now()) < 300000, "ts is recent", h.ts);
  }),
  "read: status": (t) => with_(t, async (p) => {
    const s = await p.request("status");
    has(s, "runtimeVersion", "heartbeat", "channelSummary", "queuedSystemEvents", "sessions", "tasks", "taskAudit", "degradedSecretOwners", "degradedPlugins");
    has(s.sessions, "paths", "count", "defaults", "recent", "byAgent");
  }),
  "read: system-presence": (t) => with_(t, async (p) => {
    const list = await p.request("system-presence");
    equal(list[0].mode, "gateway", "first entry's mode");
    equal(list[0].reason, "self", "first entry's reason");
  }),
  "read: last-heartbeat": (t) => with_(t, async (p) => {
    const h = await p.request("last-heartbeat");
    ok(h === null || (Number.isInteger(h.ts) && typeof h.status === "string"), "null or a heartbeat", h);
  }),
  "sessions: groups": (t) => with_(t, async (p) => {
    const name = `G-${randomUUID()}`;
    const before = (await p.request("sessions.groups.list", {})).groups.map((g) => g.name);
    const put = await p.request("sessions.groups.put", { names: [...before, name] });
    has(put, "ok", "groups");
    const key = await someSession(p);
    await p.request("sessions.patch", { key, category: name });
    const renamed = await p.request("sessions.groups.rename", { name, to: `${name}2` });
    equal(renamed.updatedSessions, 1, "updatedSessions");
    await p.request("sessions.groups.update", { name: `${name}2`, worktree: false });
    const { defaults } = await p.request("sessions.groups.defaults", {});
    ok(defaults.some((d) => d.name === `${name}2` && d.worktree === false), "defaults", defaults);
    const gone = await p.request("sessions.groups.delete", { name: `${name}2` });
    equal(gone.groups.length, before.length, "groups left");
  }),
  "sessions: what a page asks for comfort": (t) => with_(t, async (p) => {
    const key = await someSession(p);
    equal((await p.request("sessions.observer.visibility", { visible: true })).ok, true, "ok");
    equal((await p.request("sessions.viewers.set", { sessionKeys: [key] })).sessionKeys, [key], "sessionKeys");
    ok(Array.isArray((await p.request("sessions.catalog.list", {})).catalogs), "catalogs");
    has(await p.request("session.discussion.info", { sessionKey: key }), "state");
    has(await p.request("sessions.diff", { sessionKey: key }), "sessionKey", "files", "additions", "deletions");
    has(await p.request("sessions.files.list", { sessionKey: key }), "sessionKey", "files");
    has(await p.request("sessions.storage.status", {}), "agents", "maintenance");
    const { branches } = await p.request("sessions.branches.list", { sessionKey: key });
    await p.request("sessions.branches.switch", { sessionKey: key, leafEntryId: branches[0].leafEntryId });
  }),
  "sessions: fork, usage of its turns": (t) => with_(t, async (p) => {
    const key = await someSession(p);
    const { messages } = await p.request("chat.history", { sessionKey: key });
    const fork = await p.request("sessions.fork", { sessionKey: key, entryId: messages[0].__openclaw.id });
    equal(fork.editorText, "hi [fake ok chunks=2]", "editorText");
    const usage = await p.request("sessions.usage", { key });
    has(usage, "updatedAt", "startDate", "endDate", "sessions", "totals", "aggregates");
    has(usage.sessions[0], "key", "sessionId", "agentId", "updatedAt", "usage");
    equal(usage.aggregates.messages.total, 2, "messages");
    const series = await p.request("sessions.usage.timeseries", { key });
    equal(series.points.length, 1, "points");
    const { logs } = await p.request("sessions.usage.logs", { key });
    equal(logs.length, 2, "logs");
  }),
  "sessions: patchMany, search, branches": (t) => with_(t, async (p) => {
    const key = await someSession(p);
    const many = await p.request("sessions.patchMany", { targets: [{ key }, { key: "agent:no-such-agent:x" }], patch: { pinned: true } });
    equal(many.outcomes.length, 2, "outcomes");
    equal(many.outcomes[0].ok, true, "the first");
    equal(many.outcomes[1].ok, false, "the second");
    has(many.outcomes[1].error, "code", "message");
    const found = await p.request("sessions.search", { query: "hi [fake", sessionKeys: [key] });
    equal(found.results.length, 1, "results");
    has(found.results[0], "sessionKey", "sessionId", "messageId", "role", "timestamp", "snippet", "score");
    const { branches } = await p.request("sessions.branches.list", { sessionKey: key });
    equal(branches.length, 1, "branches");
    has(branches[0], "leafEntryId", "headline", "messageCount", "active");
  }),
  "read: sessions.list": (t) => with_(t, async (p) => {
    const key = await someSession(p);
    const list = await p.request("sessions.list", {});
    has(list, "ts", "path", "count", "totalCount", "limitApplied", "nextOffset", "hasMore", "defaults", "sessions");
    has(list.defaults, "modelProvider", "model", "contextTokens");
    const row = list.sessions.find((s) => s.key === key);
    ok(row, "the session is listed", list.sessions.map((s) => s.key));
    has(row, "sessionId", "kind", "agentId", "updatedAt", "status", "hasActiveRun");
    equal(row.kind, "direct", "kind");
    equal(row.status, "done", "status");
    ok(list.sessions.every((s, i, l) => i === 0 || l[i - 1].updatedAt >= s.updatedAt), "newest first");
    const one = await p.request("sessions.list", { limit: 1, includeDerivedTitles: true, includeLastMessage: true });
    equal(one.sessions.length, 1, "limit");
    const found = await p.request("sessions.list", { search: key.slice(-12) });
    equal(found.sessions.map((s) => s.key), [key], "search");
  }),
  "read: sessions.preview": (t) => with_(t, async (p) => {
    const key = await someSession(p);
    const r = await p.request("sessions.preview", { keys: [key, "agent:main:never-was"] });
    equal(r.previews.map((v) => [v.key, v.status]), [[key, "ok"], ["agent:main:never-was", "missing"]], "previews");
    equal(r.previews[0].items.map((i) => i.role), ["user", "assistant"], "items");
  }),
  "read: models.list": (t) => with_(t, async (p) => {
    const { models } = await p.request("models.list", {});
    ok(models.length > 0, "some model");
    for (const view of ["configured", "all"]) await p.request("models.list", { view });
  }),
  "read: agents.list": (t) => with_(t, async (p) => {
    const r = await p.request("agents.list", {});
    equal(r.defaultId, "main", "defaultId");
    equal(r.mainKey, "main", "mainKey");
    ok(r.agents.some((a) => a.id === "main"), "main is listed", r.agents);
  }),
  "read: agent.identity.get": (t) => with_(t, async (p) => {
    equal((await p.request("agent.identity.get", {})).agentId, "main", "agentId");
    equal((await p.request("agent.identity.get", { sessionKey: "agent:main:main" })).agentId, "main", "agentId by session");
  }),
  "read: config.get hides secrets": (t) => with_(t, async (p) => {
    const c = await p.request("config.get", {});
    has(c, "path", "exists", "raw", "parsed", "valid", "config", "hash", "issues", "warnings");
    ok(!JSON.stringify(c).includes(t.token), "the gateway's token is not in the answer");
  }),
  "read: logs.tail": (t) => with_(t, async (p) => {
    const r = await p.request("logs.tail", { limit: 5 });
    has(r, "file", "cursor", "size", "lines");
    ok(r.lines.length <= 5, "limit", r.lines.length);
    const more = await p.request("logs.tail", { cursor: r.cursor });
    ok(more.cursor >= r.cursor, "cursor moves on", more.cursor);
  }),
  "read: chat.startup": (t) => with_(t, async (p) => {
    const key = await someSession(p);
    const r = await p.request("chat.startup", { sessionKey: key });
    has(r, "sessionKey", "sessionId", "messages", "defaults", "sessionInfo");
    equal(r.messages.length, 2, "messages");
    if (t.oracle) return; // these two are promised by the reference; the original left them out when we asked
    has(r, "agentsList", "metadata");
    has(r.metadata, "models", "commands");
  }),
};
