// fetch-event-source, which reads events of a POST, and sends it again with `Last-Event-ID` where it is cut.

import assert from "node:assert/strict";

import { QUESTION, run } from "./cells.mjs";

globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = await import("@microsoft/fetch-event-source");

const base = process.env.OPENAI_BASE_URL.replace(/\/v1$/, "");

/** Passes a body on, up to the middle of its event with this number. */
function cutting(event) {
  let before = "";
  return new TransformStream({
    transform(chunk, controller) {
      before += Buffer.from(chunk).toString("latin1");
      const at = before.split("\ndata: ", event).join("\ndata: ").length + 12;
      if (before.split("\ndata: ").length <= event) return controller.enqueue(chunk);
      controller.enqueue(chunk.slice(0, Math.max(0, at - before.length + chunk.length)));
      controller.error(new TypeError("terminated"));
    },
  });
}

async function read(text, cutInEvents = []) {
  const seen = { text: "", names: [], connections: 0 };
  const cut = async (url, init) => {
    seen.connections += 1;
    const response = await fetch(url, init);
    const body = response.body.pipeThrough(cutting(cutInEvents.shift() ?? Infinity));
    return new Response(body, { status: response.status, headers: response.headers });
  };
  await fetchEventSource(`${base}/v1/chat`, {
    method: "POST",
    headers: { Authorization: `Bearer ${process.env.OPENAI_API_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ client_message_id: `fetch-${Date.now()}-${Math.random()}`, text, stream: true }),
    openWhenHidden: true,
    fetch: cut,
    onmessage({ event, data }) {
      if (event === "delta") seen.text += JSON.parse(data).text;
      else if (event !== "") seen.names.push(event);
      if (event === "final") seen.final = JSON.parse(data).text;
    },
  });
  assert.equal(seen.text, seen.final);
  assert.deepEqual(seen.names, ["start", "final"]);
  return seen;
}

await run({
  async native_stream() {
    assert.equal((await read(QUESTION)).connections, 1);
  },
  async native_resume() {
    assert.equal((await read(`${QUESTION} [[simulate: tokens=60; tps=200]]`, [3, 2])).connections, 3);
  },
});
