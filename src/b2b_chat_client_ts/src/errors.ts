/**
 * Every way in which a call can fail.
 *
 *     B2BChatError
 *     ├── NotConfigured            no API key or no address, or a bad one
 *     ├── ConnectionFailed         no response, or one that was cut
 *     │   └── TimedOut
 *     ├── UnexpectedResponse       a response that this client does not understand
 *     ├── AnswerRestarted          the text that was read so far is void
 *     ├── WebhookRejected          a webhook that is not the server's, or is too old
 *     └── APIError                 the server refused: `code`, `message`, `requestId`, `retryable`
 *         ├── InvalidRequest       400, 413, 415, 422
 *         ├── Unauthenticated      401
 *         ├── InsufficientCredits  402
 *         ├── Forbidden            403
 *         ├── NotFound             404
 *         ├── Conflict             409
 *         ├── RateLimited          429
 *         ├── ServerFailed         5xx
 *         └── AnswerFailed         the answer broke off after its first event
 *
 * An error is thrown once the retries are used up, or at once where a retry cannot help.
 */

/** What every error of this package is. */
export class B2BChatError extends Error {
  /** Of the message that was sent. Send it again with this id: it is answered and charged once. */
  clientMessageId: string | undefined;
  /** Of the answer, where it is known. `chat.follow` reads it. */
  assistantMessageId: string | undefined;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** There is no API key or no address, or it cannot be used. */
export class NotConfigured extends B2BChatError {}

/** No response came, or it was cut. */
export class ConnectionFailed extends B2BChatError {
  /** Whether the server may have received the request. */
  wasSent = true;
}

/** Nothing came for `timeoutSeconds`. */
export class TimedOut extends ConnectionFailed {}

/** The response is not what the API's description says. */
export class UnexpectedResponse extends B2BChatError {}

/** The answer is written anew, and the pieces of text that were read are void. */
export class AnswerRestarted extends B2BChatError {}

/** The webhook's signature, time or form is wrong. */
export class WebhookRejected extends B2BChatError {}

/** What a refusal says. */
export interface Refusal {
  message: string;
  /** Of HTTP; of an answer that failed after its first event, 200. */
  status: number;
  /** One of the server's table of error codes, or `http_<status>` of a proxy before it. */
  code: string;
  /** Whether the same request, unchanged, may succeed later. */
  retryable: boolean;
  /** Under which the server's log has the request. */
  requestId: string | undefined;
  /** The field, parameter or header at fault, where there is one. */
  param: string | undefined;
  /** How long the server asks to wait. */
  retryAfterSeconds: number | undefined;
}

/** The server refused, or failed. */
export class APIError extends B2BChatError {
  readonly status: number;
  readonly code: string;
  readonly retryable: boolean;
  readonly requestId: string | undefined;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.status = refusal.status;
    this.code = refusal.code;
    this.retryable = refusal.retryable;
    this.requestId = refusal.requestId;
    this.param = refusal.param;
    this.retryAfterSeconds = refusal.retryAfterSeconds;
  }
}

/** The request is not what the operation takes; `param` may say which part. */
export class InvalidRequest extends APIError {}

/** The API key is missing, wrong, expired or revoked. */
export class Unauthenticated extends APIError {}

/** The company's balance does not pay for the message, or running answers hold it (`credits_held`). */
export class InsufficientCredits extends APIError {}

/** The key may not do this. */
export class Forbidden extends APIError {}

/** There is nothing here that the key may see. */
export class NotFound extends APIError {}

/** The request contradicts the state of things. */
export class Conflict extends APIError {}

/** Too many requests; `retryAfterSeconds` says when to go on. */
export class RateLimited extends APIError {}

/** The server, or what it depends on, cannot answer now. */
export class ServerFailed extends APIError {}

/** The answer broke off. The failure costs nothing; what was read of it is void. */
export class AnswerFailed extends APIError {}

const BY_STATUS: Record<number, new (refusal: Refusal) => APIError> = {
  401: Unauthenticated,
  402: InsufficientCredits,
  403: Forbidden,
  404: NotFound,
  409: Conflict,
  429: RateLimited,
};

/** Return the error that a refusal is, by its status. */
export function errorOf(refusal: Refusal): APIError {
  const kind = BY_STATUS[refusal.status] ?? (refusal.status >= 500 ? ServerFailed : InvalidRequest);
  return new kind(refusal);
}
