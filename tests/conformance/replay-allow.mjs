// replay-allow.mjs - what a replayed conversation may lack, each with its reason. All else is compared.
//
// `where` names the frame: "res METHOD" or an event kind such as "chat final"; `path` is a member inside its
// payload. SPINE, LATER_METHODS and LATER_EVENTS are for our gateway only and shall shrink as it grows;
// ALWAYS is true for any server.

export const ALWAYS = [
  // Free-form content: the keys inside are the user's configuration or the host's inventory, not the protocol.
  { where: /^res config\.get$/, path: /^\.(parsed|sourceConfig|resolved|runtimeConfig|config)$/, opaque: true },
  { where: /./, path: /\.(byStatus|byRuntime|byCode|channels|channelLabels|permissions)$/, opaque: true },
  // Which plugins, which recent sessions, which other clients: the capture's surroundings.
  { where: /./, path: /\.plugins\.(loaded|errors|unavailable)\[\]/ },
  { where: /^(res )?(health|status|connect)$/, path: /(recent|paths|queuedSystemEvents)\[\]/ },
  { where: /./, path: /\.(warnings|issues|legacyIssues|includedPaths|lines|tags)\[\]/ },
  { where: /^(res connect|presence|res system-presence)$/, path: /presence\[\]|^\[\]/ },
  { where: /^res (status|health)$/, path: /\.(channelSummary|channelOrder)\[\]/ },
  { where: /./, path: /\.updateSchedule/ },
  // Appears once a slow background job has made it: the model catalogue, a session's title, its last activity.
  { where: /./, path: /\.(thinkingLevels|thinkingOptions|thinkingDefault|thinkingLevel|displayName|derivedTitle|lastActivityAt|contextTokens)$/ },
  { where: /./, path: /\.(activeModelProvider|activeModel|unreadSince)$/ },
  // Depends on whether the run had started when the message was announced, and on how the past was made.
  { where: /^session\.message$/, path: /^(\.session)?\.startedAt$/ },
  { where: /./, path: /\.steerTargetRunId$/ },
  // Describes the Node process of the original, measured now and then.
  { where: /./, path: /eventLoop|processMemory|modelRuntime|workerPools|hostDesktop|shutdownBudget/ },
];

/** Event kinds whose number and place are the server's business. */
export const TIMED = /^(tick|health|presence|sessions\.changed|chat\.metadata\.changed|update\.available|config\.changed|heartbeat)$/;

/** Kinds that must come, at no particular place among the run's other events. */
export const FREE_ORDER = /^agent (usage|lifecycle (model|finishing|end|error))/;

/** Kinds that may come although the capture had none. */
export const EXTRA_EVENTS = /^(task|agent usage|skills\.changed)$/;

/** Methods of the traces that belong to later work: until then they must be answered as unknown. */
export const LATER_METHODS = new Set([
  "sessions.describe", // sessions
  "sessions.patch", // sessions
  "system.info", // Control UI
  "system-event", // heartbeats
  "models.authStatus", // Control UI
  "chat.metadata", // Control UI; chat.startup carries the same
]);

/** Event kinds of the traces that may be missing. `always`: the original sends them now and then. */
export const LATER_EVENTS = [
  { kind: /^device\.pair\./, always: true }, // depends on which devices were known that day
  { kind: /^task$/ }, // task list of the Control UI
];

/** Members of our answers that come with later work. */
const ROW = /^(res sessions\.|res chat\.(history|startup)|sessions\.changed|session\.message)/;
export const SPINE = [
  // Row members that only the Control UI shows (reference, section 6, names what clients read).
  { where: ROW, path: /\.(permissionModePending|createdVia|participants|expandedParticipants|participantCount|isBackground)$/ },
  { where: ROW, path: /\.(effectiveFastMode|effectiveFastModeSource|fastAutoOnSeconds|effectiveResponseUsage|runtimeSelectionLocked)$/ },
  { where: ROW, path: /\.(lastInteractionAt|snapshotAt|placement|activitySummary|activeLeafEntryId|contextBudgetStatus|lastRunError)$/ },
  { where: /./, path: /\.agentRuntime\.(cloud|device)Placement/ }, // cloud workers: not ours
  // The row inside or beside a session event is optional: clients reload the list.
  { where: /^(session\.message|sessions\.changed)$/, path: /^\.(?!sessionKey|agentId|message|messageId|messageSeq|reason|ts|phase)\w+(\.|$)/ },
  // Notes of the original's transcript files; owners and several users are later work.
  { where: ROW, path: /\.__openclaw\.(transport|transcriptPosition|senderIsOwner|contextFreeCommand)$|\.senderIsOwner$/ },
  { where: ROW, path: /\.responseId$/ }, // the provider's id of an answer
  // Optional in hello-ok: builds of the control page, browser recovery, sharing between users.
  { where: /^res connect$/, path: /\.server\.(buildId|controlUiBuildSource)$|\.features\.capabilities$|\.snapshot\.suspension$/ },
  { where: /^res connect$/, path: /\.auth\.recovery\w+$|\.policy\.allowedSessionVisibilities$|^\.(controlUi\w+|pluginSurfaceUrls)$/ },
  // What only tools, routing and several harnesses fill.
  { where: /^agent lifecycle model$/, path: /\.lane$/ },
  { where: /^agent lifecycle/, path: /\.data\.(completionSource|errorObservation|replayInvalid|terminalReceipt|status)$/ },
  { where: /^res agent(\.wait)?$/, path: /terminalReceipt$|^\.result\.sourceReplyDeliveryState$/ },
  { where: /^res agent$/, path: /^\.result\.meta\.(systemPromptReport|final\w+|executionTrace|requestShaping|completion|replayInvalid|livenessState|aborted)$/ },
  { where: /^res agent$/, path: /\.agentMeta\.(sessionFile|credentialSource|contextTokensSource|contextBudgetStatus|codeModeEngaged|bridgeCalls|assistantTurns|agentHarnessId|promptTokens|lastCallUsage)$/ },
  { where: /^chat final$/, path: /\.message\.(api|excludeFromContext|idempotencyKey|__openclaw|text|stopReason|usage)/ }, // of finals made by the gateway itself
  { where: /^res status$/, path: /\.waitingForRoute$/ },
  { where: /^res config\.get$/, path: /^\.(includedPaths|includeProvenance|agentRosterIncludeOwned|bindingsIncludeOwned|configRevisionHash|appliedConfigHash)$/ }, // optional
  { where: /^res agents\.list$/, path: /\.workspace(Git)?$/ }, // the workspace is the agent process's own
  { where: /^res system\.info$/, path: /^\.(disk\w*|cpuModel|defaultAgentUtilityModel)$/ }, // our hub may not look around
  { where: /^res chat\.(metadata|startup)$/, path: /\.swarmEnabled$|\.models\[\]\.tags$/ }, // optional
  { where: /^res chat\.history$/, path: /\.openclawAbort$|\.inFlightRun\.events$/ }, // notes of the original's runner
  { where: /^res agent\.wait$/, path: /\.livenessState$/ },
  { where: /^res sessions\.patch$/, path: /\.modelOverrideRouteResolution$/ },
];

/** Closes where we hold to a stricter rule (docs/protocol.md, Transport): nonsense does not end as if all were well. */
const NO_FRAME = { code: 1008, reason: "invalid request frame" };
export const STRICTER_CLOSES = new Map([
  ["first-frame-not-json", NO_FRAME],
  ["v3-first-frame-not-json", NO_FRAME],
  ["v3-preauth-70k-not-json", NO_FRAME],
]);

/** Differences of the older protocol's captures that come from their server, not from the protocol. */
export const PROTOCOL_3 = [
  { where: /^res connect$/, path: /\.canvasHostUrl$/ }, // optional there, no canvas here
  { where: /^res chat\.history$/, path: /\.errorMessage$/ },
];
