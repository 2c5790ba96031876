/** Sending messages and reading their answers. */

import { Reading } from "./reading.js";
import * as resources from "./resources.js";
import { AnswerStream } from "./streams.js";
import type { ChatAnswer } from "./types.js";
import { webcrypto } from "./webcrypto.js";

/** What a message may be told. */
export interface SendOptions {
  /** Where the message belongs; without it a new conversation begins. */
  conversation_id?: string;
  /**
   * Your name for the message: sent again under it, it is answered and charged once. Without it one is made, which all
   * attempts share and which every error carries.
   */
  client_message_id?: string;
  /** The longest answer that you want, hidden reasoning included. */
  max_completion_tokens?: number;
  /** Aborting it leaves the answer, which goes on and is kept. */
  signal?: AbortSignal;
  /** Whether aborting the signal also stops the answer, so that no more of it is written or charged. */
  stopOnAbort?: boolean;
}

/** Messages and their answers. */
export class Chat extends resources.Chat {
  /** Send a message, and return the whole answer. */
  async send(text: string, options: SendOptions = {}): Promise<ChatAnswer> {
    return this.stream(text, options).answer();
  }

  /** Send a message, and return its answer as it is written. Nothing is sent before the stream is read. */
  stream(text: string, options: SendOptions = {}): AnswerStream {
    const { signal, stopOnAbort, client_message_id = webcrypto.randomUUID(), ...rest } = options;
    const reading = new Reading({ client_message_id, text, ...rest });
    if (stopOnAbort) {
      signal?.addEventListener("abort", () => void this.stopIfKnown(reading), { once: true });
    }
    return new AnswerStream(this.connection, reading, signal);
  }

  /** Read an answer from its start, while it is written or afterwards. */
  follow(assistant_message_id: string, options: { signal?: AbortSignal } = {}): AnswerStream {
    return new AnswerStream(this.connection, new Reading(undefined, assistant_message_id), options.signal);
  }

  private async stopIfKnown(reading: Reading): Promise<void> {
    if (reading.assistantMessageId === undefined || reading.answer !== undefined) return;
    await this.stop(reading.assistantMessageId).catch(() => undefined); // nobody waits for it
  }
}
