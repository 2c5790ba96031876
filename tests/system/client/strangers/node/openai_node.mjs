// The openai SDK of JavaScript.

import assert from "node:assert/strict";

import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { MODEL, OBJECT_QUESTION, QUESTION, run, TOOL_QUESTION } from "./cells.mjs";

const client = new OpenAI({ maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const Book = z.object({ author: z.string(), year: z.number() });
const WEATHER = {
  name: "get_weather",
  description: "The weather in a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};

await run({
  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.includes(MODEL));
    assert.equal((await client.models.retrieve(MODEL)).object, "model");
  },

  async chat() {
    const done = await client.chat.completions.create({ model: MODEL, messages: user(QUESTION) });
    assert.ok(done.choices[0].message.content);
    assert.equal(done.choices[0].finish_reason, "stop");
    assert.ok(done.usage.total_tokens > 0);
    assert.ok(done._request_id);
  },

  async stream() {
    const options = { stream: true, stream_options: { include_usage: true } };
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ model: MODEL, messages: user(QUESTION), ...options })) {
      chunks.push(chunk);
    }
    assert.ok(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""));
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.total_tokens > 0);
    const helper = client.chat.completions.stream({ model: MODEL, messages: user(QUESTION) });
    assert.ok(await helper.finalContent());
  },

  async tools() {
    const tools = [{ type: "function", function: WEATHER }];
    const done = await client.chat.completions.create({ model: MODEL, messages: user(TOOL_QUESTION), tools });
    const [call] = done.choices[0].message.tool_calls;
    assert.equal(call.function.name, "get_weather");
    assert.ok("city" in JSON.parse(call.function.arguments));
    const told = { role: "tool", tool_call_id: call.id, content: "Snow" };
    const messages = [...user(TOOL_QUESTION), done.choices[0].message, told];
    assert.ok((await client.chat.completions.create({ model: MODEL, messages, tools })).choices[0].message.content);
    const streamed = client.chat.completions.stream({ model: MODEL, messages: user(TOOL_QUESTION), tools });
    assert.ok("city" in JSON.parse((await streamed.finalMessage()).tool_calls[0].function.arguments));
  },

  async structured() {
    const format = zodResponseFormat(Book, "book");
    const done = await client.chat.completions.parse({ model: MODEL, messages: user(OBJECT_QUESTION), response_format: format });
    Book.parse(done.choices[0].message.parsed);
  },

  async responses() {
    const done = await client.responses.create({ model: MODEL, input: QUESTION });
    assert.equal(done.status, "completed");
    assert.ok(done.output_text);
    let text = "";
    for await (const event of await client.responses.create({ model: MODEL, input: QUESTION, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    assert.ok(text);
    const tools = [{ type: "function", strict: true, ...WEATHER }];
    const called = await client.responses.create({ model: MODEL, input: TOOL_QUESTION, tools });
    assert.ok(called.output.some((item) => item.type === "function_call" && "city" in JSON.parse(item.arguments)));
    const format = zodTextFormat(Book, "book");
    Book.parse((await client.responses.parse({ model: MODEL, input: OBJECT_QUESTION, text: { format } })).output_parsed);
  },

  async errors() {
    const wrong = new OpenAI({ apiKey: "b2b_wrong", maxRetries: 0 });
    const ask = (by, model = MODEL) => by.chat.completions.create({ model, messages: user(QUESTION) });
    await assert.rejects(ask(wrong), (error) => error instanceof OpenAI.AuthenticationError && error.code !== null);
    await assert.rejects(ask(client, "no-such-model"), (error) => error.status === 404 && error.code === "model_not_found");
    const poor = new OpenAI({ apiKey: process.env.POOR_API_KEY });
    await assert.rejects(ask(poor), (error) => error.status === 402 && error.code === "insufficient_quota");
  },
});
