// lib/device.mjs - client devices of a replay: one Ed25519 key for each device of the capture, and the proofs
// a conversation needs, also those that must be refused.

import { createHash, generateKeyPairSync, sign } from "node:crypto";

export class Device {
  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
    this.pem = publicKey.export({ type: "spki", format: "pem" });
    this.secret = privateKey;
    this.key = raw.toString("base64url");
    this.id = createHash("sha256").update(raw).digest("hex");
  }

  /** The `device` member for these params. `how`: {version, pem, nonce, shift, id, flip}. */
  proof(params, challenge, how = {}) {
    const c = params.client;
    const a = params.auth ?? {};
    const nonce = how.nonce ?? challenge.nonce;
    const at = challenge.ts + (how.shift ?? 0);
    const id = how.id ?? this.id;
    const version = how.version ?? 3;
    const parts = [`v${version}`, id, c.id, c.mode, params.role ?? "operator", (params.scopes ?? []).join(","), at,
      a.token ?? a.deviceToken ?? a.bootstrapToken ?? "", nonce];
    if (version === 3) parts.push(c.platform.trim().toLowerCase(), (c.deviceFamily ?? "").trim().toLowerCase());
    const signature = sign(null, Buffer.from(parts.join("|")), this.secret);
    if (how.flip) signature[0] ^= 1;
    return { id, publicKey: how.pem ? this.pem : this.key, signature: signature.toString("base64url"), signedAt: at, nonce };
  }
}
