// Which calls are tried again, what is sent, and which webhooks are the server's.

import assert from "node:assert/strict";
import { test } from "node:test";

const { B2BChat, Conflict, ConnectionFailed, NotConfigured, UnexpectedResponse, WebhookRejected, webhooks } = await import(
  `${process.env.CLIENT}/index.js`
);
const { Decoder } = await import(`${process.env.CLIENT}/sse.js`);

const json = (value, status = 200) => new Response(JSON.stringify(value), { status });
const refused = (status, code, retryable) => json({ detail: { code, message: "No.", retryable, request_id: "r" } }, status);
const reset = () => Object.assign(new TypeError("fetch failed"), { cause: { code: "ECONNRESET" } });
const neverSent = () => Object.assign(new TypeError("fetch failed"), { cause: { code: "ECONNREFUSED" } });

function played(...responses) {
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url: new URL(url), ...init });
    const next = responses.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  return { client: new B2BChat({ apiKey: "b2b_x", baseURL: "https://chat.test", fetch, maxRetries: 1 }), requests };
}

const read = (client) => client.ledger.balance();
const create = (client) => client.company.invites.create({ email: "ann@example.test", role: "member" });

for (const [name, call, first, attempts] of [
  ["a read after a reset", read, reset(), 2],
  ["a read after 503", read, refused(503, "database_unavailable", true), 2],
  ["a read after 404", read, refused(404, "not_found", false), 1],
  ["a creation that was never sent", create, neverSent(), 2],
  ["a creation that was refused for now", create, refused(429, "rate_limited", true), 2],
]) {
  test(`${name}: ${attempts} attempts`, async () => {
    const { client, requests } = played(first, json({}));
    await call(client).then(
      () => assert.equal(attempts, 2),
      () => assert.equal(attempts, 1),
    );
    assert.equal(requests.length, attempts);
  });
}

test("a list is read over its pages", async () => {
  const { client, requests } = played(
    json({ items: [{ id: "1" }, { id: "2" }], next_cursor: "after 2" }),
    json({ items: [{ id: "3" }], next_cursor: null }),
  );
  const ids = [];
  for await (const conversation of client.conversations.list({ page_size: 2, search: "ы&" })) ids.push(conversation.id);
  assert.deepEqual(ids, ["1", "2", "3"]);
  assert.equal(requests[0].url.searchParams.get("limit"), "2");
  assert.equal(requests[0].url.searchParams.get("search"), "ы&");
  assert.equal(requests[1].url.searchParams.get("cursor"), "after 2");
  assert.equal(requests[0].headers.Authorization, "Bearer b2b_x");
});

test("bodies and paths are written as the API reads them", async () => {
  const { client, requests } = played(json({}), new Response(null, { status: 204 }));
  await client.conversations.rename("a/b", { title: "Привет" });
  assert.equal(requests[0].url.pathname, "/v1/conversations/a%2Fb/title");
  assert.equal(requests[0].body, '{"title":"Привет"}');
  assert.equal(await client.conversations.erase("x"), undefined);
  assert.equal(requests[1].method, "DELETE");
});

test("errors are what they are", async () => {
  await assert.rejects(read(played(refused(409, "conversation_busy", false)).client), Conflict);
  await assert.rejects(read(played(new Response("<html>")).client), UnexpectedResponse);
  await assert.rejects(create(played(reset()).client), ConnectionFailed);
});

test("a client wants a key and an address", () => {
  for (const options of [{}, { apiKey: "two words", baseURL: "http://x" }, { apiKey: "b2b_x", baseURL: "x.test" }]) {
    assert.throws(() => new B2BChat(options), NotConfigured);
  }
});

test("every cut of a stream gives the same events", () => {
  const stream = new TextEncoder().encode(
    '\ufeffretry: 1\n\nid: 1-0\nevent: start\ndata: {}\n\n: comment\n\nid: 1-3\r\nevent: delta\r\ndata: при🙂\r\n\r\n' +
      "id: 1-4\revent: delta\rdata: two\rdata:lines\r\r",
  );
  const events = [
    { name: "start", data: "{}", id: "1-0" },
    { name: "delta", data: "при🙂", id: "1-3" },
    { name: "delta", data: "two\nlines", id: "1-4" },
  ];
  for (let at = 0; at <= stream.length; at++) {
    const decoder = new Decoder();
    const found = [...decoder.feed(stream.slice(0, at)), ...decoder.feed(stream.slice(at)), ...decoder.feed(new Uint8Array([10]))];
    assert.deepEqual(found, events, `cut at ${at}`);
  }
});

// The vector is the Standard Webhooks specification's own example.
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"test": 2432232314}';
const HEADERS = {
  "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
  "webhook-timestamp": "1614265330",
  "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};
const unixSeconds = 1614265330;

test("a webhook of the server is accepted", async () => {
  assert.deepEqual(await webhooks.verify(BODY, HEADERS, SECRET, { unixSeconds }), { test: 2432232314 });
  assert.deepEqual(await webhooks.verify(BODY, new Headers(HEADERS), SECRET, { unixSeconds }), { test: 2432232314 });
  const renewed = { ...HEADERS, "webhook-signature": `v1,AAAA ${HEADERS["webhook-signature"]}` };
  assert.ok(await webhooks.verify(BODY, renewed, SECRET, { unixSeconds }));
});

for (const [name, body, headers, secret, now] of [
  ["another body", `${BODY} `, {}, SECRET, unixSeconds],
  ["another secret", BODY, {}, "whsec_YW5vdGhlcg==", unixSeconds],
  ["another time", BODY, { "webhook-timestamp": "1614265331" }, SECRET, unixSeconds],
  ["no time", BODY, { "webhook-timestamp": "soon" }, SECRET, unixSeconds],
  ["another version", BODY, { "webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" }, SECRET, unixSeconds],
  ["an old one", BODY, {}, SECRET, unixSeconds + 301],
  ["one of the future", BODY, {}, SECRET, unixSeconds - 301],
  ["no signature", BODY, { "webhook-signature": undefined }, SECRET, unixSeconds],
]) {
  test(`a webhook is rejected: ${name}`, async () => {
    await assert.rejects(webhooks.verify(body, { ...HEADERS, ...headers }, secret, { unixSeconds: now }), WebhookRejected);
  });
}
