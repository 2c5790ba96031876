/** What the reader of a stream gets. */

import type { ChatAnswer } from "./types.js";

/** The message was accepted: the ids of everything that it made. */
export interface Start {
  type: "start";
  conversation_id: string;
  user_message_id: string;
  assistant_message_id: string;
}

/** The next piece of the text. */
export interface Delta {
  type: "delta";
  text: string;
}

/** The answer broke off and is written anew: the text before is void. */
export interface Restart {
  type: "restart";
  attempt: number;
}

/** The whole answer, with what it took and cost. It is the last event. */
export interface Final {
  type: "final";
  answer: ChatAnswer;
}

export type StreamEvent = Start | Delta | Restart | Final;
