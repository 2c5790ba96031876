// One question by the openai SDK with its silent retries, and with an Idempotency-Key where there is one.

import OpenAI from "openai";

// Its own option `idempotencyKey` is not sent to any server.
const key = process.env.IDEMPOTENCY_KEY;
const done = await new OpenAI({ maxRetries: 8 }).chat.completions.create(
  { model: "gpt-5.2", messages: [{ role: "user", content: "What is a border?" }] },
  key ? { headers: { "Idempotency-Key": key } } : {},
);
console.log(JSON.stringify({ text: done.choices[0].message.content }));
