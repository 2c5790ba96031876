// Follows one answer to its end, over as many connections as that takes, without losing or repeating a word.
import { eventsOf } from "./events.js";
import { codeOf, say, sendJson, words } from "./page.js";

const MAX_PAUSE_SECONDS = 5;
// What passes by itself; anything that is no answer of ours (a proxy's, say) does too.
const PASSING = new Set(["shutting_down", "database_unavailable", "message_in_progress", undefined]);

// `message` is what to send, where it has not been acknowledged; `view` shows what comes, and knows the answer's id.
export async function follow(message, view) {
  let place;
  for (let failures = 0; ; failures += 1) {
    let pauseSeconds = Math.min(failures + 1, MAX_PAUSE_SECONDS);
    try {
      const response = view.answerId ? await resume(view.answerId, place) : await sendJson("POST", "/v1/chat", message);
      if (!response.ok) {
        const code = await codeOf(response);
        const retryAfter = Number(response.headers.get("Retry-After")) || 0;
        if (response.status === 401) return location.assign("/sign-in");
        if (!PASSING.has(code)) return view.fail(code, retryAfter);
        pauseSeconds = retryAfter || pauseSeconds;
        say(words.waiting);
      } else {
        say("");
        for await (const event of eventsOf(response)) {
          failures = 0;
          place = event.id;
          if (event.name === "final") return await view.finish(event.data);
          if (event.name === "error") return view.fail(event.data.detail.code, 0);
          view[event.name](event.data);
        }
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // a TypeError is how fetch says that the network failed
      say(words.offline);
    }
    await pause(pauseSeconds);
  }
}

function resume(answerId, place) {
  return fetch(`/v1/chat/${answerId}/events`, { headers: place ? { "Last-Event-ID": place } : {} });
}

function pause(seconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
