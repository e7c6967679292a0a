// Verifies PenguinMails webhooks (Standard Webhooks). Node 18 or newer, no dependencies.
import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";

/** Do not trust the request. `code` says why, such as signature_mismatch. */
export class WebhookError extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * Returns when the request was signed with one of `secrets`, at most `tolerance` seconds ago or ahead.
 *
 * secrets: the endpoint's whsec_... (or whpk_..., the public key of an Ed25519 endpoint), or an array of them.
 * headers: `request.headers` of Node, or a `Headers` object. body: a Buffer or string as received, before any parsing.
 */
export function verifyWebhook(secrets, headers, body, { tolerance = 300, now = Date.now() / 1000 } = {}) {
  const all = typeof headers.entries === "function" ? Object.fromEntries(headers.entries()) : headers;
  const found = Object.fromEntries(Object.entries(all).map(([name, value]) => [name.toLowerCase(), value]));
  const [id, stamp, given] = ["id", "timestamp", "signature"].map((part) => found[`webhook-${part}`]);
  if (!id || !stamp || !given) throw new WebhookError("missing_header");
  if (!/^(0|[1-9][0-9]{0,11})$/.test(stamp)) throw new WebhookError("invalid_timestamp");
  const age = now - Number(stamp);
  if (age > tolerance) throw new WebhookError("timestamp_too_old");
  if (age < -tolerance) throw new WebhookError("timestamp_too_new");
  const readable = /^(v1,[A-Za-z0-9+/]{43}=|v1a,[A-Za-z0-9+/]{86}==)$/;
  const signatures = given.split(" ").filter((part) => readable.test(part));
  if (signatures.length === 0) throw new WebhookError("invalid_signature");
  const content = Buffer.concat([Buffer.from(`${id}.${stamp}.`), Buffer.from(body)]);
  let good = false;
  for (const secret of [secrets].flat()) {
    for (const signature of signatures) good = fits(secret, content, signature) || good;
  }
  if (!good) throw new WebhookError("signature_mismatch");
}

function fits(secret, content, signature) {
  const [version, text] = signature.split(",");
  if (secret.startsWith("whpk_")) {
    const key = decode(secret.slice("whpk_".length), 32, 32);
    if (version !== "v1a") return false;
    const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key]); // RFC 8410
    const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
    return verify(null, content, publicKey, Buffer.from(text, "base64"));
  }
  const key = decode(secret.replace(/^whsec_/, ""), 24, 64);
  const expected = Buffer.from(`v1,${createHmac("sha256", key).update(content).digest("base64")}`);
  const actual = Buffer.from(signature);
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

function decode(text, least, most) {
  const key = Buffer.from(text, "base64");
  if (key.toString("base64") !== text || key.length < least || key.length > most) {
    throw new WebhookError("invalid_secret");
  }
  return key;
}
