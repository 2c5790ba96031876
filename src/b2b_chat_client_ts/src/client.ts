/** The client. */

import { Chat } from "./chat.js";
import { Connection } from "./connection.js";
import { NotConfigured } from "./errors.js";
import * as resources from "./resources.js";
import { MAX_RETRIES } from "./retrying.js";

/** An answer that is being written is never silent for so long: the server sends a comment every 15 seconds. */
export const TIMEOUT_SECONDS = 60;

export interface ClientOptions {
  /** By default what `B2B_CHAT_API_KEY` holds, where there is an environment. */
  apiKey?: string;
  /** The server's address; by default what `B2B_CHAT_BASE_URL` holds. */
  baseURL?: string;
  /** How many failures of each kind are tried again. */
  maxRetries?: number;
  /** How long the server may be silent. */
  timeoutSeconds?: number;
  /** Sends the requests; by default the global one. */
  fetch?: typeof fetch;
}

/** A client of one b2b-chat server. */
export class B2BChat extends resources.Root {
  override readonly chat: Chat;

  constructor(options: ClientOptions = {}) {
    const connection = new Connection({
      apiKey: keyOf(options.apiKey ?? variable("B2B_CHAT_API_KEY")),
      baseURL: addressOf(options.baseURL ?? variable("B2B_CHAT_BASE_URL")),
      maxRetries: options.maxRetries ?? MAX_RETRIES,
      timeoutSeconds: options.timeoutSeconds ?? TIMEOUT_SECONDS,
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    });
    super(connection);
    this.chat = new Chat(connection);
  }
}

function variable(name: string): string {
  const environment = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env;
  return environment?.[name] ?? "";
}

function keyOf(key: string): string {
  if (!/^[!-~]+$/.test(key)) throw new NotConfigured("Give an API key as `apiKey`, or set B2B_CHAT_API_KEY.");
  return key;
}

function addressOf(url: string): string {
  if (!/^https?:\/\/[^/]/.test(url)) {
    throw new NotConfigured("Give the server's address as `baseURL`, or set B2B_CHAT_BASE_URL: https://…");
  }
  return url.replace(/\/+$/, "").replace(/\/v1$/, "");
}
