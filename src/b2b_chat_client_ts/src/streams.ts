/** An answer while it is written, as its reader sees it. */

import type { Connection } from "./connection.js";
import { waited } from "./connection.js";
import { AnswerRestarted, B2BChatError, ConnectionFailed, UnexpectedResponse } from "./errors.js";
import type { Start, StreamEvent } from "./events.js";
import type { Exchange } from "./exchange.js";
import type { Reading } from "./reading.js";
import { refusedBy } from "./responses.js";
import type { Retries } from "./retrying.js";
import { Decoder } from "./sse.js";
import type { ChatAnswer } from "./types.js";

/**
 * The events of one answer: iterate over it once. Leaving the loop hangs up.
 *
 * Connections that break are opened anew by themselves, and nothing is lost or shown twice.
 */
export class AnswerStream implements AsyncIterable<StreamEvent> {
  private readonly events: AsyncGenerator<StreamEvent, void, undefined>;

  constructor(
    connection: Connection,
    private readonly reading: Reading,
    signal?: AbortSignal,
  ) {
    this.events = answering(connection, reading, signal);
  }

  [Symbol.asyncIterator](): AsyncIterator<StreamEvent, void, undefined> {
    return this.events;
  }

  /** The text that has come so far. */
  get text(): string {
    return this.reading.text;
  }

  /** The ids of the conversation and of both messages, once the server has accepted the message. */
  get start(): Start | undefined {
    return this.reading.start;
  }

  /** The whole answer, once it has ended. */
  get final(): ChatAnswer | undefined {
    return this.reading.answer;
  }

  /** The message's own name. Sent again under it, a message is answered and charged once. */
  get clientMessageId(): string | undefined {
    return this.reading.message?.client_message_id;
  }

  /** The answer's id, once it is known. */
  get assistantMessageId(): string | undefined {
    return this.reading.assistantMessageId;
  }

  /** Yield the pieces of the text; throw `AnswerRestarted` where those before are void. */
  async *texts(): AsyncGenerator<string, void, undefined> {
    for (let next = await this.events.next(); !next.done; next = await this.events.next()) {
      if (next.value.type === "delta") yield next.value.text;
      else if (next.value.type === "restart") throw this.restarted();
    }
  }

  /** Read to the end, and return the whole answer. */
  async answer(): Promise<ChatAnswer> {
    for await (const _ of this.events);
    if (this.reading.answer === undefined) throw new B2BChatError("The stream was closed before the answer ended.");
    return this.reading.answer;
  }

  /** Hang up. The answer goes on and is kept; `chat.stop` ends it. */
  async close(): Promise<void> {
    await this.events.return();
  }

  private restarted(): AnswerRestarted {
    const error = new AnswerRestarted("The answer broke off and is written anew; the text read so far is void.");
    error.clientMessageId = this.clientMessageId;
    error.assistantMessageId = this.assistantMessageId;
    return error;
  }
}

/**
 * Yield an answer's events, each once, up to `final`.
 *
 * The retries count failures in a row; a stream that brings something new is no failure, however often it is cut.
 */
async function* answering(
  connection: Connection,
  reading: Reading,
  signal: AbortSignal | undefined,
): AsyncGenerator<StreamEvent, void, undefined> {
  const retries = connection.retries();
  while (reading.answer === undefined) {
    const exchange = connection.exchange(signal);
    try {
      yield* oneStream(connection, exchange, reading, retries);
    } catch (error) {
      reading.hasFailed(error);
      await waited(retries.secondsAfter(error), signal);
    } finally {
      exchange.close();
    }
  }
}

async function* oneStream(
  connection: Connection,
  exchange: Exchange,
  reading: Reading,
  retries: Retries,
): AsyncGenerator<StreamEvent, void, undefined> {
  const response = await connection.open(exchange, reading.request());
  reading.located(response.headers.get("content-location"));
  if (response.status === 204) throw new UnexpectedResponse("The server says that this answer was read to its end.");
  if (response.status !== 200) throw refusedBy(response.status, response.headers, await exchange.readAll());
  const decoder = new Decoder();
  for (let chunk = await exchange.read(); chunk !== undefined; chunk = await exchange.read()) {
    for (const event of decoder.feed(chunk)) {
      for (const news of reading.take(event)) {
        retries.progressed();
        yield news;
        if (news.type === "final") return;
      }
    }
  }
  throw new ConnectionFailed("The stream ended before the answer did.");
}
