/**
 * Webhooks: whether one comes from the server, unchanged and lately.
 *
 * Source: Standard Webhooks, https://www.standardwebhooks.com: HMAC-SHA256 over `id.timestamp.body`.
 */

import { NotConfigured, WebhookRejected } from "./errors.js";
import { webcrypto } from "./webcrypto.js";

export const TOLERANCE_SECONDS = 300;

export interface VerifyOptions {
  /** How far its time may be from this machine's, before and after. */
  toleranceSeconds?: number;
  /** This machine's time; by default the clock's. */
  unixSeconds?: number;
}

/**
 * Return the event that a webhook brings, once its signature is proved.
 *
 * Rejects with `WebhookRejected` where it is not signed with this secret, is too old, or is no JSON: answer it with 400.
 *
 * @param body - The request's body, exactly as it came.
 * @param headers - The request's headers, of which `webhook-id`, `webhook-timestamp` and `webhook-signature` are read.
 * @param secret - As it was shown: `whsec_…`.
 */
export async function verify(
  body: string,
  headers: Headers | Record<string, string | undefined>,
  secret: string,
  options: VerifyOptions = {},
): Promise<unknown> {
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) => header(headers, `webhook-${name}`));
  if (!/^[0-9]+$/.test(timestamp ?? "")) {
    throw new WebhookRejected("The header `webhook-timestamp` is not a number of seconds.");
  }
  const key = await webcrypto.subtle.importKey("raw", keyOf(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  const proofs = (signatures ?? "").split(" ").filter((each) => each.startsWith("v1,"));
  const fits = await Promise.all(
    proofs.map((proof) => webcrypto.subtle.verify("HMAC", key, bytesOf(proof.slice(3)), signed)),
  );
  if (!fits.includes(true)) throw new WebhookRejected("No signature fits: another secret, or a changed body.");
  const now = options.unixSeconds ?? Date.now() / 1000;
  if (Math.abs(now - Number(timestamp)) > (options.toleranceSeconds ?? TOLERANCE_SECONDS)) {
    throw new WebhookRejected("The webhook is too old, or a clock is wrong.");
  }
  try {
    return JSON.parse(body) as unknown;
  } catch (cause) {
    throw new WebhookRejected("The body is not JSON.", { cause });
  }
}

function header(headers: Headers | Record<string, string | undefined>, name: string): string {
  const found =
    headers instanceof Headers
      ? headers.get(name)
      : Object.entries(headers).find(([each]) => each.toLowerCase() === name)?.[1];
  if (found === undefined || found === null) throw new WebhookRejected(`The header \`${name}\` is missing.`);
  return found;
}

function keyOf(secret: string): Uint8Array<ArrayBuffer> {
  const key = bytesOf(secret.replace(/^whsec_/, ""));
  if (key.length === 0) throw new NotConfigured("A webhook's secret is `whsec_` and base64.");
  return key;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
