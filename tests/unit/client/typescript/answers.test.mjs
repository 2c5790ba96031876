// How an answer is put together from what connections bring. The network's edge, fetch, is played.

import assert from "node:assert/strict";
import { test } from "node:test";

const { AnswerFailed, AnswerRestarted, B2BChat, ConnectionFailed, InvalidRequest, ServerFailed, TimedOut } = await import(
  `${process.env.CLIENT}/index.js`
);

// Waits are a hundred times as short here.
const { setTimeout } = globalThis;
globalThis.setTimeout = (act, milliseconds) => setTimeout(act, milliseconds / 100);

const ANSWER_ID = "00000000-0000-0000-0000-000000000003";
const TEXT = "Границы — и 🙂 точка.";
const CHARACTERS = [...TEXT];
const utf8 = new TextEncoder();

const sent = (name, id, data) => `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const START = sent("start", "1-0", { conversation_id: "c", user_message_id: "u", assistant_message_id: ANSWER_ID });
const slice = (from, to) => CHARACTERS.slice(from, to).join("");
const delta = (text, offset, attempt = 1) => sent("delta", `${attempt}-${offset}`, { text });
const final = (attempt = 1, text = TEXT) =>
  sent("final", `${attempt}-${[...text].length}-end`, {
    status: "completed",
    text,
    usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    charge_credits: "0.500000",
    balance_credits: "9.500000",
  });
const failure = (code, id = "1-0-end", retryable = true) =>
  sent("error", id, { detail: { code, message: "No.", retryable, request_id: "r" } });
const WHOLE = START + delta(slice(0, 7), 7) + delta(slice(7), CHARACTERS.length) + final();

const cut = (bytes) => ({ bytes, isCut: true });
const refusal = (status, code, retryable, headers = {}) =>
  new Response(JSON.stringify({ detail: { code, message: "No.", retryable, request_id: "r" } }), { status, headers });

/** A client whose requests get these responses in turn, and a record of the requests. */
function played(responses, options = {}) {
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ method: init.method, url, after: init.headers["Last-Event-ID"], body: init.body });
    const next = responses.shift();
    if (next instanceof Error) throw next;
    if (next instanceof Response) return next;
    if (next === "silence") {
      return new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
    }
    const { bytes, isCut } = typeof next === "string" ? { bytes: next, isCut: false } : next;
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (this.isSent || bytes.length === 0) isCut ? controller.error(new TypeError("terminated")) : controller.close();
          else controller.enqueue(typeof bytes === "string" ? utf8.encode(bytes) : bytes);
          this.isSent = true;
        },
      }),
    );
  };
  const client = new B2BChat({ apiKey: "b2b_x", baseURL: "http://server.test/v1/", fetch, maxRetries: 3, ...options });
  return { client, requests };
}

async function readAll(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const shown = (events) => events.map((event) => (event.type === "delta" ? event.text : event.type));

test("a stream that is not cut", async () => {
  const { client, requests } = played([`retry: 1000\n\n${WHOLE}`]);
  const stream = client.chat.stream("Hello", { client_message_id: "mine" });
  assert.deepEqual(shown(await readAll(stream)), ["start", slice(0, 7), slice(7), "final"]);
  assert.equal(stream.text, TEXT);
  assert.equal(stream.final.charge_credits, "0.500000");
  assert.equal(stream.final.assistant_message_id, ANSWER_ID);
  assert.deepEqual(JSON.parse(requests[0].body), {
    client_message_id: "mine",
    text: "Hello",
    stream: true,
    restart: true,
  });
  assert.equal(requests[0].url, "http://server.test/v1/chat");
});

test("a cut at any byte loses and doubles nothing", async () => {
  const bytes = utf8.encode(WHOLE);
  for (let at = 0; at < bytes.length; at += 3) {
    const { client } = played([{ bytes: bytes.slice(0, at), isCut: at % 2 === 0 }, WHOLE]);
    const events = await readAll(client.chat.stream("Hello"));
    const text = events.map((event) => (event.type === "delta" ? event.text : "")).join("");
    assert.equal(text, TEXT, `cut at ${at}`);
    assert.deepEqual(shown(events.filter((event) => event.type !== "delta")), ["start", "final"]);
  }
});

test("a cut stream is followed after its last event", async () => {
  const { client, requests } = played([
    cut(START + delta(slice(0, 7), 7)),
    delta(slice(7), CHARACTERS.length) + final(),
  ]);
  const answer = await client.chat.send("Hello");
  assert.equal(answer.text, TEXT);
  assert.deepEqual(requests.map(({ method, after }) => [method, after]), [["POST", undefined], ["GET", "1-7"]]);
  assert.equal(requests[1].url, `http://server.test/v1/chat/${ANSWER_ID}/events?restart=true`);
});

test("without the ids the message is sent again under its id", async () => {
  const { client, requests } = played([new TypeError("fetch failed"), cut("id: 1-"), WHOLE]);
  await client.chat.send("Hello");
  assert.equal(new Set(requests.map(({ body }) => body)).size, 1);
  assert.equal(requests.length, 3);
});

test("a piece after a gap is not shown but requested again", async () => {
  const { client, requests } = played([
    START + delta(slice(0, 7), 7) + delta(slice(9), CHARACTERS.length) + final(),
    delta(slice(7), CHARACTERS.length) + final(),
  ]);
  assert.deepEqual(shown(await readAll(client.chat.stream("Hello"))), ["start", slice(0, 7), slice(7), "final"]);
  assert.equal(requests[1].after, "1-7");
});

test("cuts without anything new are bounded", async () => {
  const cuts = Array.from({ length: 9 }, () => new TypeError("fetch failed"));
  const { client, requests } = played([cut(START), ...cuts]);
  await assert.rejects(client.chat.send("Hello", { client_message_id: "mine" }), (error) => {
    assert.ok(error instanceof ConnectionFailed);
    assert.equal(error.clientMessageId, "mine");
    assert.equal(error.assistantMessageId, ANSWER_ID);
    return true;
  });
  assert.equal(requests.length, 4);
});

test("a failed answer is asked for again and its text is void", async () => {
  const { client, requests } = played([
    START + delta(slice(0, 7), 7) + failure("answer_cut", "1-7-end"),
    sent("restart", "2-0", { attempt: 2 }) + delta(TEXT, CHARACTERS.length, 2) + final(2),
  ]);
  const stream = client.chat.stream("Hello");
  assert.deepEqual(shown(await readAll(stream)), ["start", slice(0, 7), "restart", TEXT, "final"]);
  assert.equal(stream.text, TEXT);
  assert.deepEqual(requests.map(({ method }) => method), ["POST", "POST"]);
});

test("failures of an answer are bounded even if text came", async () => {
  const attempts = [1, 2, 3, 4, 5].map((n) => delta("ab", 2, n) + failure("answer_cut", `${n}-2-end`));
  const { client, requests } = played(attempts, { maxRetries: 2 });
  await assert.rejects(client.chat.send("Hello"), (error) => error instanceof AnswerFailed && error.code === "answer_cut");
  assert.equal(requests.length, 3);
});

test("pieces of text end in an error where they become void", async () => {
  const { client } = played([
    START + delta(slice(0, 7), 7) + failure("answer_cut", "1-7-end"),
    delta(TEXT, CHARACTERS.length, 2) + final(2),
  ]);
  const stream = client.chat.stream("Hello");
  const pieces = [];
  await assert.rejects(async () => {
    for await (const piece of stream.texts()) pieces.push(piece);
  }, AnswerRestarted);
  assert.deepEqual(pieces, [slice(0, 7)]);
  assert.equal((await stream.answer()).text, TEXT);
});

test("a final failure is thrown at once, with its code and its request", async () => {
  const { client, requests } = played([refusal(422, "text_too_long", false)]);
  await assert.rejects(client.chat.send("Hello"), (error) => {
    assert.ok(error instanceof InvalidRequest);
    assert.deepEqual([error.code, error.status, error.requestId, error.retryable], ["text_too_long", 422, "r", false]);
    return true;
  });
  assert.equal(requests.length, 1);
});

test("a followed answer that failed is not sent again", async () => {
  const { client, requests } = played([START + failure("answer_cut")]);
  await assert.rejects(client.chat.follow(ANSWER_ID).answer(), AnswerFailed);
  assert.equal(requests.length, 1);
});

test("a wait that is too long is left to the caller", async () => {
  const { client } = played([refusal(503, "gateway_unavailable", true, { "retry-after": "3600" })]);
  await assert.rejects(client.chat.send("Hello"), (error) => error instanceof ServerFailed && error.retryAfterSeconds === 3600);
});

test("a proxy's own error is tried again", async () => {
  const { client } = played([new Response("<html>", { status: 502 }), WHOLE]);
  assert.equal((await client.chat.send("Hello")).text, TEXT);
});

test("the reader ends with the stored text", async () => {
  const { client } = played([START + delta("Other", 5) + final()]);
  assert.deepEqual(shown(await readAll(client.chat.stream("Hello"))), ["start", "Other", "restart", TEXT, "final"]);
});

test("silence is a failure, and an aborted signal is the caller's own", async () => {
  const { client } = played(["silence"], { timeoutSeconds: 1, maxRetries: 0 });
  await assert.rejects(client.chat.send("Hello"), TimedOut);
  const leaving = new AbortController();
  const waiting = played(["silence"]).client.chat.send("Hello", { signal: leaving.signal });
  leaving.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});
