/** What a response means: a value, or an error. */

import { AnswerFailed, APIError, errorOf, UnexpectedResponse, type Refusal } from "./errors.js";

const RETRYABLE_STATUSES = new Set([408, 425, 429, 502, 503, 504]);

/** Return the error that a response is. */
export function refusedBy(status: number, headers: Headers, body: string): APIError {
  const refusal = detailOf(body) ?? {
    message: `The server, or a proxy before it, answered with status ${status}.`,
    code: `http_${status}`,
    retryable: RETRYABLE_STATUSES.has(status),
    requestId: headers.get("x-request-id") ?? undefined,
    param: undefined,
  };
  const retryAfter = headers.get("retry-after") ?? "";
  const retryAfterSeconds = /^[0-9]+$/.test(retryAfter) ? Number(retryAfter) : undefined;
  return errorOf({ ...refusal, status, retryAfterSeconds });
}

/** Return the error that the data of `event: error` is. */
export function failureOf(data: string): AnswerFailed {
  const refusal = detailOf(data);
  if (refusal === undefined) throw new UnexpectedResponse("The stream's error is not what the API describes.");
  return new AnswerFailed({ ...refusal, status: 200, retryAfterSeconds: undefined });
}

/** Return JSON as what it should be. */
export function decoded<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new UnexpectedResponse("The response is not what the API describes.", { cause });
  }
}

type Detail = Omit<Refusal, "status" | "retryAfterSeconds">;

function detailOf(body: string): Detail | undefined {
  let detail: Record<string, unknown> | undefined;
  try {
    detail = (JSON.parse(body) as { detail?: Record<string, unknown> } | null)?.detail;
  } catch {
    return undefined; // a proxy's page
  }
  if (typeof detail?.["code"] !== "string" || typeof detail["message"] !== "string") return undefined;
  return {
    message: detail["message"],
    code: detail["code"],
    retryable: detail["retryable"] === true,
    requestId: typeof detail["request_id"] === "string" ? detail["request_id"] : undefined,
    param: typeof detail["param"] === "string" ? detail["param"] : undefined,
  };
}
