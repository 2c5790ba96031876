// Under the composer: how many values of the text will be hidden, and the text as it will cross the border. Only what is
// typed here is asked about, and only once it rests; if there is no word from the server, nothing is said.
import { element, sendJson, words } from "./page.js";

const REST_MS = 700;
const TOKEN = /(\[[A-Z]+_[0-9]+\])/;
const plurals = new Intl.PluralRules(document.documentElement.lang);
const numbers = new Intl.NumberFormat(document.documentElement.lang);
let resting;
let asking;
let last;

// Looks through what stands in the composer; of no text there is nothing to say.
export function lookThrough(text) {
  if (!("masks" in document.body.dataset) || text === last?.text) return;
  clearTimeout(resting);
  asking?.abort();
  show(undefined);
  if (text) resting = setTimeout(() => ask(text), REST_MS);
}

// A text in nodes, its hidden values marked as far as they are known: when it is loaded again, the server says it all.
export function partsOf(text) {
  const parts = sent?.text === text ? sent.preview.parts : [{ text }];
  return parts.map((part) => (part.kind ? hiddenValue(part) : document.createTextNode(part.text)));
}

async function ask(text) {
  asking = new AbortController();
  const asked = { text };
  if (document.body.dataset.conversation) asked.conversation_id = document.body.dataset.conversation;
  try {
    const answer = await sendJson("POST", "/v1/masking/preview", asked, asking.signal);
    if (answer.ok) show({ text, preview: await answer.json() });
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
  }
}

let sent; // the last text that was looked through: what is sent is what was typed last

function show(found) {
  last = found;
  sent = found ?? sent;
  const counts = Object.entries(found?.preview.counts ?? {});
  element("masked").hidden = counts.length === 0;
  element("masked").classList.toggle("over", found?.preview.is_blocked === true);
  if (!counts.length) return;
  element("masked").querySelector("[role=status]").textContent = found.preview.is_blocked ? blocked(found) : hidden(counts);
}

function hidden(counts) {
  const count = counts.reduce((sum, [, each]) => sum + each, 0);
  const said = words[`hidden_${plurals.select(count)}`].replace("{count}", numbers.format(count));
  return `${said}: ${counts.map(([kind, each]) => `${nameOf(kind)} ${numbers.format(each)}`).join(", ")}.`;
}

function blocked(found) {
  const kinds = new Set(found.preview.parts.filter((part) => part.action === "block").map((part) => part.kind));
  return `${words.blocked} ${[...kinds].map(nameOf).join(", ")}.`;
}

const nameOf = (kind) => words[`kind_${kind}`];

function hiddenValue({ text, kind }) {
  const value = document.createElement("span");
  value.className = "hidden-value";
  value.title = `${words.hidden_when_sent} ${nameOf(kind)}`;
  value.textContent = text;
  return value;
}

element("show-sent")?.addEventListener("click", () => {
  if (!last) return;
  element("sent-text").replaceChildren(
    ...last.preview.masked_text.split(TOKEN).map((piece, place) => {
      if (place % 2 === 0) return document.createTextNode(piece);
      const mark = document.createElement("mark");
      mark.textContent = piece;
      return mark;
    }),
  );
  element("as-sent").showModal();
});
