/**
 * Server-sent events, from chunks of bytes.
 *
 * Source: WHATWG HTML, "Server-sent events", https://html.spec.whatwg.org/multipage/server-sent-events.html
 */

import { UnexpectedResponse } from "./errors.js";

const MAX_EVENT_CHARACTERS = 16 * 1024 * 1024;

/** One event as it was sent. */
export interface ServerEvent {
  name: string;
  data: string;
  id: string | undefined;
}

/**
 * Turns the chunks of one stream into events, wherever the chunks were cut.
 *
 * An event counts once its blank line has come: what a cut leaves of one is dropped, and requested again.
 */
export class Decoder {
  // It drops a byte order mark at the start, as the standard says.
  private readonly utf8 = new TextDecoder();
  private rest = "";

  /** Return the events that this chunk completes. */
  feed(chunk: Uint8Array): ServerEvent[] {
    const buffer = this.rest + this.utf8.decode(chunk, { stream: true });
    const held = buffer.endsWith("\r") ? "\r" : ""; // it may be half of a CRLF
    const text = buffer.slice(0, buffer.length - held.length).replace(/\r\n?/g, "\n");
    const blocks = text.split("\n\n");
    this.rest = (blocks.pop() ?? "") + held;
    if (this.rest.length > MAX_EVENT_CHARACTERS) {
      throw new UnexpectedResponse("The stream holds an event without an end.");
    }
    return blocks.map(parse).filter((event) => event !== undefined);
  }
}

function parse(block: string): ServerEvent | undefined {
  let name = "message";
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    else if (field === "event") name = value;
    else if (field === "id") id = value;
  }
  return data.length > 0 ? { name, data: data.join("\n"), id } : undefined;
}
