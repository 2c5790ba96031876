/** The TypeScript client of b2b-chat. */

export { B2BChat, type ClientOptions } from "./client.js";
export type { SendOptions } from "./chat.js";
export type { CallOptions } from "./connection.js";
export * from "./errors.js";
export type * from "./events.js";
export { Listing, type Page } from "./listing.js";
export { AnswerStream } from "./streams.js";
export type * as types from "./types.js";
export * as webhooks from "./webhooks.js";
