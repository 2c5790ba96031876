/** Whether to try again, and when. */

import { APIError, B2BChatError, ConnectionFailed, RateLimited } from "./errors.js";

/** Attempts after the first one, unless the client is told otherwise. */
export const MAX_RETRIES = 5;

/** Where the server asks for a longer wait, its error is thrown at once. */
export const MAX_RETRY_AFTER_SECONDS = 90;

const FIRST_SECONDS = 0.25;
const LONGEST_SECONDS = 8;

/**
 * The retries of one call: a number of failures, with growing waits.
 *
 * Broken connections count while nothing new comes between them, so that a long stream survives any number of them. What
 * the server refuses or fails at counts from the beginning to the end: each may cost it a call of the model.
 */
export class Retries {
  private cuts = 0;
  private refusals = 0;

  constructor(
    private readonly maxRetries: number,
    private readonly isSafeToRepeat = true,
    private readonly random: () => number = Math.random,
  ) {}

  /** Forget the broken connections: something new came. */
  progressed(): void {
    this.cuts = 0;
  }

  /** Return how long to wait before the next attempt, or throw the error where there is none. */
  secondsAfter(error: unknown): number {
    if (!(error instanceof B2BChatError)) throw error;
    const failures = error instanceof ConnectionFailed ? ++this.cuts : ++this.refusals;
    const asked = error instanceof APIError ? error.retryAfterSeconds : undefined;
    if (failures > this.maxRetries || !this.mayRepeat(error) || (asked ?? 0) > MAX_RETRY_AFTER_SECONDS) throw error;
    if (asked !== undefined) return asked * (1 + this.random() / 10);
    return Math.min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** (failures - 1)) * (0.5 + this.random() / 2);
  }

  private mayRepeat(error: B2BChatError): boolean {
    if (error instanceof ConnectionFailed) return this.isSafeToRepeat || !error.wasSent;
    if (error instanceof APIError && error.retryable) return this.isSafeToRepeat || error instanceof RateLimited;
    return false;
  }
}
