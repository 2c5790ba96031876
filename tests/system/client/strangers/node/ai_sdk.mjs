// The AI SDK, whose own default is the Responses API.

import assert from "node:assert/strict";

import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { MODEL, OBJECT_QUESTION, QUESTION, run, TOOL_QUESTION } from "./cells.mjs";

const openai = createOpenAI({ apiKey: process.env.OPENAI_API_KEY, baseURL: process.env.OPENAI_BASE_URL });
const completions = openai.chat(MODEL);
const byDefault = openai(MODEL);
const weather = tool({
  description: "The weather in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Snow in ${city}`,
});
const Book = z.object({ author: z.string(), year: z.number() });
const output = Output.object({ schema: Book });

async function asks(model) {
  const { text, usage, finishReason } = await generateText({ model, prompt: QUESTION, maxRetries: 0 });
  assert.ok(text);
  assert.equal(finishReason, "stop");
  assert.ok(usage.totalTokens > 0);
}

async function streams(model) {
  let failure;
  const streamed = streamText({ model, prompt: QUESTION, maxRetries: 0, onError: ({ error }) => (failure = error) });
  let text = "";
  for await (const piece of streamed.textStream) text += piece;
  assert.ifError(failure);
  assert.ok(text);
  assert.ok((await streamed.usage).totalTokens > 0);
}

async function calls(model) {
  const done = await generateText({
    model,
    prompt: TOOL_QUESTION,
    tools: { get_weather: weather },
    stopWhen: stepCountIs(2),
    maxRetries: 0,
  });
  assert.equal(done.steps[0].toolCalls[0].toolName, "get_weather");
  assert.equal(done.steps.length, 2);
  assert.ok(done.text);
}

async function objects(model) {
  Book.parse((await generateText({ model, prompt: OBJECT_QUESTION, output, maxRetries: 0 })).output);
}

await run({
  chat: () => asks(completions),
  stream: () => streams(completions),
  tools: () => calls(completions),
  structured: () => objects(completions),
  async responses() {
    await asks(byDefault);
    await streams(byDefault);
    await calls(byDefault);
    await objects(byDefault);
  },
});
