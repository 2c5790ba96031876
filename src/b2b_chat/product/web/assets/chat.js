// The chat page: what is typed is sent once, whatever happens to the page or the network in between.
import { refresh } from "./conversations.js";
import { element, heard, sendJson, words } from "./page.js";
import { follow } from "./run.js";
import { AnswerView } from "./view.js";

const UNSENT = "unsent"; // survives a reload until the server has acknowledged the message
let live;

element("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("text").value;
  if (live || !text.trim()) return;
  // Its name is made before the first try: every later one is the same message.
  const message = { client_message_id: newId(), text, stream: true };
  if (document.body.dataset.conversation) message.conversation_id = document.body.dataset.conversation;
  element("text").value = "";
  sendNew(message);
});

function sendNew(message) {
  sessionStorage.setItem(UNSENT, JSON.stringify(message));
  const question = fresh("message-user");
  question.querySelector(".text").textContent = message.text;
  const answer = fresh("message-assistant");
  element("messages").append(question, answer);
  element("hint").hidden = true;
  run(message, new AnswerView(answer, message));
}

async function run(message, view) {
  live = view;
  busy(true);
  view.onStart = (ids) => {
    sessionStorage.removeItem(UNSENT);
    if (document.body.dataset.conversation) return;
    document.body.dataset.conversation = ids.conversation_id;
    history.replaceState(null, "", `/c/${ids.conversation_id}`);
    refresh();
  };
  try {
    await follow(message, view);
  } finally {
    live = undefined;
    busy(false);
    // Refused, it is on the page with a button to try again; a reload need not send it.
    sessionStorage.removeItem(UNSENT);
  }
}

function busy(yes) {
  element("send").hidden = yes;
  element("stop").hidden = !yes;
}

async function stop() {
  if (live?.answerId) await heard(sendJson("POST", `/v1/chat/${live.answerId}/stop`));
}

function retry(item) {
  const question = item.previousElementSibling;
  const message = item.message ?? {
    client_message_id: item.dataset.clientMessageId,
    text: question.querySelector(".text").textContent,
    stream: true,
  };
  // What began the conversation was sent without naming one, and must be sent again as it was.
  if (!item.message && question.previousElementSibling) message.conversation_id = document.body.dataset.conversation;
  const view = new AnswerView(item, message);
  view.answerId = undefined; // a new attempt is asked for by sending, not by following the old one
  run(message, view);
}

element("stop").addEventListener("click", stop);

element("messages").addEventListener("click", async (event) => {
  const item = event.target.closest("li.message");
  if (event.target.closest("[data-retry]") && !live) retry(item);
  const copy = event.target.closest("[data-copy]");
  if (!copy) return;
  await navigator.clipboard.writeText(item.querySelector(".text").innerText);
  copy.textContent = words.copied;
  setTimeout(() => (copy.textContent = words.copy), 2000);
});

element("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("compose").requestSubmit();
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    menu(true);
    element("search").focus();
  }
});

element("menu").addEventListener("click", () => menu(element("menu").getAttribute("aria-expanded") === "false"));

function menu(open) {
  element("menu").setAttribute("aria-expanded", String(open));
}

function fresh(template) {
  return element(template).content.firstElementChild.cloneNode(true);
}

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function begin() {
  const unfinished = document.querySelector("li.assistant:is([data-status=pending], [data-status=streaming])");
  if (unfinished) {
    sessionStorage.removeItem(UNSENT);
    return run(undefined, new AnswerView(unfinished));
  }
  const unsent = JSON.parse(sessionStorage.getItem(UNSENT) ?? "null");
  if (unsent && (unsent.conversation_id ?? "") === document.body.dataset.conversation) sendNew(unsent);
}

element("text").focus();
begin();
