// Follows one answer to its end, over as many connections as that takes, without losing or repeating a word.
import { beforeSilence, eventsOf } from "./events.js";
import { detailOf, say, sendJson, signInAgain, words } from "./page.js";

const MAX_PAUSE_SECONDS = 5;
// Statuses after which the same request may be taken, where nothing of ours tells.
const MAY_PASS = new Set([408, 409, 425, 429, 500, 502, 503, 504]);

// `message` is what to send, where it has not been acknowledged; `view` shows what comes, and knows the answer's id.
export async function follow(message, view) {
  let place;
  for (let failures = 0; ; failures += 1) {
    let pauseSeconds = Math.min(failures + 1, MAX_PAUSE_SECONDS);
    const connection = new AbortController();
    try {
      const asked = view.answerId
        ? resume(view.answerId, place, connection.signal)
        : sendJson("POST", "/v1/chat", message, connection.signal);
      const response = await beforeSilence(asked);
      if (!response.ok && !view.answerId && response.headers.has("Content-Location")) {
        // The message was accepted, and its answer has failed: the events tell how.
        view.answerId = response.headers.get("Content-Location").split("/")[3];
        failures = 0;
        continue;
      }
      if (!response.ok) {
        const { code, retryable } = await detailOf(response);
        const retryAfter = Number(response.headers.get("Retry-After")) || 0;
        if (response.status === 401) return signInAgain();
        if (!passes(response.status, code)) return view.refuse(code, retryAfter, retryable ?? MAY_PASS.has(response.status));
        pauseSeconds = retryAfter || pauseSeconds;
        say(words.waiting);
      } else {
        say("");
        for await (const event of eventsOf(response)) {
          failures = 0;
          place = event.id;
          if (event.name === "final") return await view.finish(event.data);
          if (event.name === "error") return view.fail(event.data.detail.code, 0, event.data.detail.retryable ?? true);
          view[event.name](event.data);
        }
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // a TypeError is how fetch says that the network failed
      say(words.offline);
    } finally {
      connection.abort();
    }
    if (!isGivenUp(view)) await pause(pauseSeconds, view);
    if (isGivenUp(view)) return view.refuse("unacknowledged", 0, true);
  }
}

// Nothing is waited for any more. An answer that the server has told of is stopped instead.
function isGivenUp(view) {
  return view.isGivenUp && !view.answerId;
}

// What passes by itself: a restart, a database or proxy that is away for a while, the same message on another worker.
function passes(status, code) {
  return code === "message_in_progress" || (status >= 500 && code !== "internal_error");
}

function resume(answerId, place, signal) {
  return fetch(`/v1/chat/${answerId}/events?restart=true`, { headers: place ? { "Last-Event-ID": place } : {}, signal });
}

// Until it is time, the network is back, or the person wants no more.
function pause(seconds, view) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, seconds * 1000);
    view.onGivenUp = done;
    addEventListener("online", done);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    }
  });
}
