// What a program does with the client, against a running stack; each line that it prints is checked.

import assert from "node:assert/strict";

const { B2BChat, Conflict, Forbidden, NotFound } = await import(`${process.env.CLIENT}/index.js`);
const client = new B2BChat();

const first = await client.chat.send("Hello", { client_message_id: "mine" });
assert.equal(first.status, "completed");
assert.deepEqual(await client.chat.send("Hello", { client_message_id: "mine" }), first);
await assert.rejects(client.chat.send("Other", { client_message_id: "mine" }), (error) => {
  assert.ok(error instanceof Conflict);
  assert.equal(error.clientMessageId, "mine");
  return error.code === "idempotency_conflict" && error.requestId !== undefined;
});

const second = await client.chat.send("And then?", { conversation_id: first.conversation_id });
const messages = [];
for await (const message of client.messages.list(first.conversation_id, { page_size: 2 })) messages.push(message.text);
assert.deepEqual(messages, ["Hello", first.text, "And then?", second.text]);

const followed = client.chat.follow(second.assistant_message_id);
const kinds = [];
for await (const event of followed) kinds.push(event.type);
assert.deepEqual([kinds[0], kinds.at(-1), followed.text], ["start", "final", second.text]);
await assert.rejects(client.chat.follow("00000000-0000-7000-8000-000000000000").answer(), NotFound);

const charges = [];
for await (const entry of client.ledger.list({ kind: "charge" })) charges.push(entry.amount_credits);
assert.deepEqual(charges, [`-${second.charge_credits}`, `-${first.charge_credits}`]);
assert.equal((await client.ledger.balance()).balance_credits, second.balance_credits);
await assert.rejects((async () => { for await (const _ of client.company.members.list()); })(), Forbidden);

// Leaving by a signal that also stops the answer: what was read is kept and paid for, and no more is written.
const leaving = new AbortController();
const stream = client.chat.stream("Long [[simulate: tokens=2000; tps=50]]", { signal: leaving.signal, stopOnAbort: true });
await assert.rejects(async () => {
  for await (const event of stream) if (event.type === "delta") leaving.abort(new Error("enough"));
}, /enough/);
let stopped = await client.chat.follow(stream.assistantMessageId).answer();
assert.equal(stopped.status, "stopped");
assert.ok(stopped.text.startsWith(stream.text));
console.log("done");
