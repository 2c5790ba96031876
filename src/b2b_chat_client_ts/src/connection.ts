/** Sending requests to one server with one key. */

import { B2BChatError } from "./errors.js";
import { Exchange, type Request } from "./exchange.js";
import { decoded, refusedBy } from "./responses.js";
import { Retries } from "./retrying.js";
import { webcrypto } from "./webcrypto.js";

/** Where a client sends its requests, with which key, and how patiently. */
export interface Configuration {
  baseURL: string;
  apiKey: string;
  timeoutSeconds: number;
  maxRetries: number;
  fetch: typeof fetch;
}

/** What any call may be told. */
export interface CallOptions {
  /** Aborting it leaves the call, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Of calls that create something: by default all attempts of a call share a new one. */
  idempotencyKey?: string;
}

type Value = string | number | boolean | null | undefined;

/** A call of an operation. Values that are undefined are left out of its query and body. */
export interface Call {
  method: string;
  path: string;
  query?: Record<string, Value>;
  body?: unknown;
  /** Whether it creates one thing for one `Idempotency-Key`. */
  takesIdempotencyKey?: boolean;
  /** Whether the response is a text instead of JSON. */
  isText?: boolean;
}

const SAFE_METHODS = new Set(["GET", "PUT", "PATCH", "DELETE"]);

export class Connection {
  constructor(readonly configuration: Configuration) {}

  /** Return what a call is for, trying again where that may help. */
  async call<T>(call: Call, options: CallOptions = {}): Promise<T> {
    const request = requestOf(call, options);
    const isSafe = SAFE_METHODS.has(call.method) || call.takesIdempotencyKey === true;
    const retries = this.retries(isSafe);
    for (;;) {
      const exchange = this.exchange(options.signal);
      try {
        return (await this.once(exchange, request, call.isText === true)) as T;
      } catch (error) {
        await waited(retries.secondsAfter(error), options.signal);
      } finally {
        exchange.close();
      }
    }
  }

  /** Return the retries of one call. */
  retries(isSafeToRepeat = true): Retries {
    return new Retries(this.configuration.maxRetries, isSafeToRepeat);
  }

  /** Return an exchange that has not begun. */
  exchange(signal: AbortSignal | undefined): Exchange {
    return new Exchange(this.configuration.timeoutSeconds, signal);
  }

  /** Send a request, and return its response, whose body is unread. */
  async open(exchange: Exchange, request: Request): Promise<Response> {
    const { baseURL, apiKey, fetch } = this.configuration;
    const headers = { Authorization: `Bearer ${apiKey}`, Accept: "application/json", ...request.headers };
    const init: RequestInit = { method: request.method, headers };
    if (request.body !== undefined) init.body = request.body;
    return exchange.open(fetch, baseURL + request.path, init);
  }

  private async once(exchange: Exchange, request: Request, isText: boolean): Promise<unknown> {
    const response = await this.open(exchange, request);
    const body = await exchange.readAll();
    if (!response.ok) throw refusedBy(response.status, response.headers, body);
    if (isText) return body;
    return body === "" ? undefined : decoded(body);
  }
}

/** Return a path with its parameters filled in. */
export function path(template: string, ...values: string[]): string {
  const left = [...values];
  return template.replace(/\{\}/g, () => encodeURIComponent(left.shift() ?? ""));
}

/** Return after a time, or reject when the signal is aborted. */
export async function waited(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason ?? new B2BChatError("aborted"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
  });
}

function requestOf(call: Call, options: CallOptions): Request {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value !== undefined && value !== null) query.set(name, String(value));
  }
  const headers: Record<string, string> = {};
  if (call.body !== undefined) headers["Content-Type"] = "application/json";
  if (call.takesIdempotencyKey) headers["Idempotency-Key"] = options.idempotencyKey ?? webcrypto.randomUUID();
  const suffix = query.toString() === "" ? "" : `?${query.toString()}`;
  return {
    method: call.method,
    path: call.path + suffix,
    body: call.body === undefined ? undefined : JSON.stringify(call.body),
    headers,
  };
}
