/** One request and its response, which may be left at any time and is never waited for in vain. */

import { ConnectionFailed, NotConfigured, TimedOut } from "./errors.js";

/** What is sent. The connection adds the address and the key. */
export interface Request {
  method: string;
  /** With its query. */
  path: string;
  body?: string | undefined;
  headers?: Record<string, string>;
}

const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

export class Exchange {
  private readonly controller = new AbortController();
  private reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  private readonly leave = (): void => this.controller.abort(this.signal?.reason);

  constructor(
    private readonly timeoutSeconds: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    if (signal?.aborted) this.leave();
    signal?.addEventListener("abort", this.leave);
  }

  /** Send a request, and return its response, whose body is unread. */
  async open(send: typeof fetch, url: string, init: RequestInit): Promise<Response> {
    const response = await this.within(() => send(url, { ...init, signal: this.controller.signal, redirect: "manual" }));
    this.reader = response.body?.getReader();
    return response;
  }

  /** Return the next bytes of the body, or undefined at its end. */
  async read(): Promise<Uint8Array | undefined> {
    const reader = this.reader;
    if (reader === undefined) return undefined;
    const { done, value } = await this.within(() => reader.read());
    return done ? undefined : value;
  }

  /** Return the whole body. */
  async readAll(): Promise<string> {
    const utf8 = new TextDecoder();
    let text = "";
    for (let chunk = await this.read(); chunk !== undefined; chunk = await this.read()) {
      text += utf8.decode(chunk, { stream: true });
    }
    return text + utf8.decode();
  }

  /** Hang up, unless the response has been read to its end. */
  close(): void {
    this.signal?.removeEventListener("abort", this.leave);
    this.controller.abort();
  }

  private async within<T>(act: () => Promise<T>): Promise<T> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.controller.abort();
    }, this.timeoutSeconds * 1000);
    try {
      return await act();
    } catch (error) {
      if (this.signal?.aborted) throw this.signal.reason;
      throw isLate ? new TimedOut(`Nothing came for ${this.timeoutSeconds} seconds.`) : failed(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

function failed(error: unknown): ConnectionFailed | NotConfigured {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = String((cause as { code?: unknown } | undefined)?.code ?? "");
  const words = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  if (code === "ERR_INVALID_URL") return new NotConfigured(words);
  const failure = new ConnectionFailed(words, { cause: error });
  failure.wasSent = !NEVER_SENT.has(code);
  return failure;
}
