// Reads streams through whatever is at B2B_CHAT_BASE_URL, and prints what the reader of each had, one JSON a line.

const { B2BChat } = await import(`${process.env.CLIENT}/index.js`);

const client = new B2BChat({ maxRetries: Number(process.env.MAX_RETRIES) });
const questions = JSON.parse(process.env.QUESTIONS);
const atOnce = Number(process.env.AT_ONCE);

async function read(question) {
  const stream = client.chat.stream(question);
  const kinds = [];
  let text = "";
  for await (const event of stream) {
    if (event.type === "delta") text += event.text;
    else kinds.push(event.type);
  }
  console.log(JSON.stringify({ name: stream.clientMessageId, kinds, text, final: stream.final.text }));
}

const left = [...questions];
async function readInTurn() {
  for (let question = left.shift(); question !== undefined; question = left.shift()) await read(question);
}
await Promise.all(Array.from({ length: atOnce }, readInTurn));
