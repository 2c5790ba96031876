// EventSource as browsers have it, with the native API's events.

import assert from "node:assert/strict";

import { EventSource } from "eventsource";

import { QUESTION, run } from "./cells.mjs";

const base = process.env.OPENAI_BASE_URL.replace(/\/v1$/, "");
const headers = { Authorization: `Bearer ${process.env.OPENAI_API_KEY}` };

async function asked(text) {
  const body = JSON.stringify({ client_message_id: `eventsource-${Date.now()}-${Math.random()}`, text, stream: true });
  const response = await fetch(`${base}/v1/chat`, { method: "POST", body, headers: { ...headers, "Content-Type": "application/json" } });
  const reader = response.body.getReader();
  let seen = "";
  while (!seen.includes("assistant_message_id")) seen += new TextDecoder().decode((await reader.read()).value);
  await reader.cancel();
  return /"assistant_message_id":"([^"]+)"/.exec(seen)[1];
}

await run({
  async native_resume() {
    const id = await asked(`${QUESTION} [[simulate: tokens=60; tps=100]]`);
    const seen = { text: "", finals: 0, connections: 0, lastEventIds: [] };
    const source = new EventSource(`${base}/v1/chat/${id}/events`, {
      fetch: (url, init) => {
        seen.connections += 1;
        seen.lastEventIds.push(init.headers["Last-Event-ID"]);
        return fetch(url, { ...init, headers: { ...init.headers, ...headers } });
      },
    });
    source.addEventListener("delta", (event) => (seen.text += JSON.parse(event.data).text));
    const final = await new Promise((resolve) => {
      source.addEventListener("final", (event) => {
        seen.finals += 1;
        resolve(JSON.parse(event.data));
      });
    });
    // After the end it reconnects once, gets 204, and stays away.
    await new Promise((resolve) => source.addEventListener("error", () => source.readyState === EventSource.CLOSED && resolve()));
    assert.equal(seen.text, final.text);
    assert.deepEqual([seen.finals, seen.connections], [1, 2]);
    assert.match(seen.lastEventIds[1], /-end$/);
  },
});
