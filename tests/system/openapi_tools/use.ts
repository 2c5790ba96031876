// A program of a stranger: generated types and openapi-fetch, compiled strictly.
import createClient from "openapi-fetch";
import type { components, paths } from "./product.js";

type Event = components["schemas"]["ChatStreamEvent"];

const client = createClient<paths>({
  baseUrl: process.env.B2B_CHAT_BASE_URL ?? "",
  headers: { Authorization: `Bearer ${process.env.B2B_CHAT_API_KEY}` },
});

const { data, error } = await client.POST("/v1/chat", {
  body: { client_message_id: crypto.randomUUID(), text: "How do I cook rice?" },
});
if (error) throw new Error(`${error.detail.code}: ${error.detail.message}`);
if (data === undefined || typeof data === "string") throw new Error("a stream was not asked for");
const answer: string = data.text;
const charge: string = data.charge_credits;
const { data: listed } = await client.GET("/v1/conversations", { params: { query: { limit: 1 } } });
const title: string | undefined = listed?.items[0]?.title;
const said = (event: Event): string => (event.event === "delta" ? JSON.parse(event.data).text : "");
console.log(JSON.stringify({ answer, charge, title, said: said({ event: "delta", data: '{"text":"x"}' }) }));
