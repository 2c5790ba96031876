/**
 * What a reader has of an answer, and which request brings the rest.
 *
 * Every event of an answer has the id `<attempt>-<offset>`, the offset being how many characters (code points) of the
 * text had been sent by its end. So the reader can see where a piece belongs, whatever was cut or sent twice.
 */

import { path } from "./connection.js";
import { AnswerFailed, B2BChatError, ConnectionFailed } from "./errors.js";
import type { Start, StreamEvent } from "./events.js";
import type { Request } from "./exchange.js";
import { decoded, failureOf } from "./responses.js";
import type { ServerEvent } from "./sse.js";
import type { ChatAnswer } from "./types.js";

const EVENT_ID = /^([0-9]{1,9})-([0-9]{1,9})(-end)?$/;
const LOCATION = /^\/v1\/chat\/([0-9a-f-]{36})\/events$/;

/** A message as it is sent, under one id however often. */
export interface Message {
  client_message_id: string;
  text: string;
  conversation_id?: string | undefined;
  max_completion_tokens?: number | undefined;
}

/** One answer as far as it has been read. */
export class Reading {
  start: Start | undefined;
  answer: ChatAnswer | undefined;
  text = "";
  private length = 0;
  private attempt: number | undefined;
  private lastEventId: string | undefined;
  /** Whether the next request sends the message; else it follows the answer. */
  private sends: boolean;

  constructor(
    readonly message: Message | undefined,
    public assistantMessageId?: string,
  ) {
    this.sends = message !== undefined;
  }

  /** Return the request that brings what is missing. */
  request(): Request {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.lastEventId !== undefined) headers["Last-Event-ID"] = this.lastEventId;
    if (this.sends) {
      headers["Content-Type"] = "application/json";
      const body = JSON.stringify({ ...this.message, stream: true, restart: true });
      return { method: "POST", path: "/v1/chat", body, headers };
    }
    const events = path("/v1/chat/{}/events?restart=true", this.assistantMessageId ?? "");
    return { method: "GET", path: events, headers };
  }

  /**
   * Record why the last request brought no end, and put the ids on the error.
   *
   * A cut stream is followed; an answer that failed is written anew when its message is sent again. It throws the error
   * where there is no message to send again.
   */
  hasFailed(error: unknown): void {
    if (!(error instanceof B2BChatError)) throw error;
    error.clientMessageId = this.message?.client_message_id;
    error.assistantMessageId = this.assistantMessageId;
    if (error instanceof AnswerFailed && this.message === undefined) throw error;
    const isCut = error instanceof ConnectionFailed && this.assistantMessageId !== undefined;
    this.sends = this.message !== undefined && !isCut;
  }

  /** Learn the answer's id from the header of a response that tells where it is. */
  located(contentLocation: string | null): void {
    this.assistantMessageId = LOCATION.exec(contentLocation ?? "")?.[1] ?? this.assistantMessageId;
  }

  /** Return what an event brings that the reader has not had. */
  take(event: ServerEvent): StreamEvent[] {
    const place = EVENT_ID.exec(event.id ?? "");
    if (place === null) return []; // a kind of event that this client does not know
    const news = this.begin(Number(place[1]));
    if (event.name === "start") news.push(...this.started(decoded(event.data)));
    else if (event.name === "delta") news.push(...this.piece(decoded<{ text: string }>(event.data).text, Number(place[2])));
    else if (event.name === "final") news.push(...this.end(decoded(event.data)));
    else if (event.name === "error") throw failureOf(event.data);
    this.lastEventId = event.id;
    return news;
  }

  private started(ids: Omit<Start, "type">): StreamEvent[] {
    const isKnown = this.start !== undefined; // a new attempt has the same ids
    this.start = { type: "start", ...ids };
    this.assistantMessageId = ids.assistant_message_id;
    return isKnown ? [] : [this.start];
  }

  private begin(attempt: number): StreamEvent[] {
    const isAnew = this.attempt !== undefined && attempt !== this.attempt;
    this.attempt = attempt;
    return isAnew ? this.drop(attempt) : [];
  }

  private drop(attempt: number): StreamEvent[] {
    const hadText = this.length > 0;
    this.text = "";
    this.length = 0;
    return hadText ? [{ type: "restart", attempt }] : [];
  }

  private piece(text: string, offset: number): StreamEvent[] {
    const characters = [...text];
    const beginsAt = offset - characters.length;
    if (beginsAt > this.length) {
      throw new ConnectionFailed("A piece of the answer is missing; it is requested again.");
    }
    return this.add(characters.slice(this.length - beginsAt));
  }

  private add(characters: string[]): StreamEvent[] {
    if (characters.length === 0) return [];
    const text = characters.join("");
    this.text += text;
    this.length += characters.length;
    return [{ type: "delta", text }];
  }

  private end(final: Omit<ChatAnswer, "conversation_id" | "user_message_id" | "assistant_message_id">): StreamEvent[] {
    const { type: _, ...ids } = this.start ?? {
      type: "start",
      conversation_id: "",
      user_message_id: "",
      assistant_message_id: this.assistantMessageId ?? "",
    };
    this.answer = { ...ids, ...final };
    // What is stored is what was charged: the reader ends with that.
    const news = this.answer.text.startsWith(this.text) ? [] : this.drop(this.attempt ?? 0);
    news.push(...this.add([...this.answer.text.slice(this.text.length)]));
    return [...news, { type: "final", answer: this.answer }];
  }
}
