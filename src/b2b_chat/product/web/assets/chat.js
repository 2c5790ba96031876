// The chat page: what is typed is sent once, whatever happens to the page or the network in between.
import { refresh } from "./conversations.js";
import { copy, decorate } from "./decorations.js";
import { draftHere, forgetUnsent, keepDraft, keepRefused, keepUnsent, unsentHere } from "./drafts.js";
import { loadEarlier } from "./earlier.js";
import { lookThrough, partsOf } from "./masked.js";
import { element, heard, sendJson, tell, words } from "./page.js";
import { follow } from "./run.js";
import { toEnd } from "./scroller.js";
import { AnswerView, reasonOf } from "./view.js";
import { isBlank, lengthOf } from "./visible.js";

const numbers = new Intl.NumberFormat(document.documentElement.lang);
let live;

element("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("text").value;
  if (live || isBlank(text)) return;
  if (isTooLong(text)) return tell(element("length").textContent);
  write("");
  send(text);
});

function send(text) {
  // Its name is made before the first try: every later one is the same message.
  const message = { client_message_id: newId(), text, stream: true, restart: true };
  if (document.body.dataset.conversation) message.conversation_id = document.body.dataset.conversation;
  element("refused").textContent = "";
  run(message, show(message));
}

// What stands in the composer, and is kept as a draft.
function write(text) {
  element("text").value = text;
  keepDraft(text);
  count();
}

// A text back into the composer, before what has been typed there meanwhile.
function takeBack(text) {
  const typed = element("text").value;
  write(isBlank(typed) || typed === text ? text : `${text}\n\n${typed}`);
  element("text").focus();
}

// The limit is told before it is reached, and a longer text is not sent.
function count() {
  const text = element("text").value;
  const limit = Number(document.body.dataset.maxCharacters);
  const length = element("length");
  length.hidden = lengthOf(text) < limit * 0.9;
  length.textContent = (isTooLong(text) ? words.too_long_by : words.length)
    .replace("{number}", numbers.format(lengthOf(text)))
    .replace("{excess}", numbers.format(lengthOf(text) - limit))
    .replace("{limit}", numbers.format(limit));
  length.classList.toggle("over", isTooLong(text));
  element("text").setAttribute("aria-invalid", String(isTooLong(text)));
  lookThrough(isBlank(text) || isTooLong(text) ? "" : text);
}

function isTooLong(text) {
  return lengthOf(text) > Number(document.body.dataset.maxCharacters);
}

// A message and its answer to come, at the end of the page.
function show(message) {
  const question = fresh("message-user");
  question.querySelector(".text").replaceChildren(...partsOf(message.text));
  const answer = fresh("message-assistant");
  element("messages").append(question, answer);
  element("hint").hidden = true;
  toEnd();
  return new AnswerView(answer, message);
}

async function run(message, view) {
  live = view;
  busy(true);
  if (message) keepUnsent(message);
  view.onRefused = (code, seconds, mayRepeat) => {
    keepRefused(message, code, seconds, mayRepeat);
    if (mayRepeat) return;
    view.item.previousElementSibling.remove();
    view.item.remove();
    element("hint").hidden = element("messages").childElementCount > 0;
    element("refused").setAttribute("role", "alert"); // one of long ago, on a page that is loaded, alarms nobody
    giveBack(message.text, { code, seconds });
  };
  view.onStart = (ids) => {
    forgetUnsent();
    if (view.isGivenUp) stop();
    const here = document.body.dataset.conversation;
    if (here && here !== ids.conversation_id) location.assign(`/c/${ids.conversation_id}`);
    if (here) return;
    document.body.dataset.conversation = ids.conversation_id;
    history.replaceState(null, "", `/c/${ids.conversation_id}`);
    refresh();
  };
  try {
    await follow(message, view);
  } finally {
    live = undefined;
    busy(false);
  }
}

// Nothing of a message is stored, and sending it again as it is would not help: it is its writer's again.
function giveBack(text, { code, seconds }) {
  takeBack(text);
  element("refused").textContent = reasonOf(code, seconds);
}

function busy(yes) {
  const [gone, there] = yes ? ["send", "stop"] : ["stop", "send"];
  const hadFocus = document.activeElement === element(gone);
  element(there).hidden = false;
  element(gone).hidden = true;
  if (hadFocus) element("text").focus();
}

async function stop() {
  if (!live) return;
  if (live.ids || !live.message) return heard(sendJson("POST", `/v1/chat/${live.answerId}/stop`));
  // Whether the server has it is not known. If it tells so, the answer is stopped; if not, it is sent no more.
  live.isGivenUp = true;
  live.onGivenUp();
}

function retry(item) {
  const question = item.previousElementSibling;
  const message = item.message ?? {
    client_message_id: item.dataset.clientMessageId,
    text: question.querySelector(".text").textContent,
    stream: true,
    restart: true,
  };
  if (!item.message) {
    // What began the conversation was sent without naming one, and must be sent again as it was.
    if (question.previousElementSibling) message.conversation_id = document.body.dataset.conversation;
  } else if (item.wasRefused && document.body.dataset.conversation) {
    // Nothing of it is stored, and meanwhile the page may have got its conversation by another message.
    message.conversation_id = document.body.dataset.conversation;
  }
  const view = new AnswerView(item, message);
  view.answerId = undefined; // a new attempt is asked for by sending, not by following the old one
  element("text").focus(); // the button that was pressed is gone
  run(message, view);
}

// The second click of a double one on Send falls on Stop, which has come into its place.
element("stop").addEventListener("click", (event) => event.detail > 1 || stop());

element("messages").addEventListener("click", (event) => {
  const item = event.target.closest("li.message");
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches("[data-retry]") && !live) retry(item);
  if (button.matches("[data-edit]")) takeBack(item.previousElementSibling.querySelector(".text").textContent);
  if (button.matches("[data-continue]") && !live) send(words.continue_from_there);
  if (button.matches("[data-copy]")) copy(item.querySelector(".text").innerText, button);
  if (button.matches(".copy-code")) copy(button.nextElementSibling.textContent, button);
  if (button.matches("[data-earlier]")) loadEarlier(button);
});

element("text").addEventListener("input", () => {
  keepDraft(element("text").value);
  count();
});

element("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("compose").requestSubmit();
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) escape(event.target);
  // By its place too, for keyboards that write other letters there.
  if ((event.key.toLowerCase() === "k" || event.code === "KeyK") && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    menu(true);
    element("search").focus();
    element("search").select();
  }
});

// Out of the list, or out of the search; else it is the answer that is to end.
function escape(from) {
  if (isMenuOpen()) {
    menu(false);
    element("menu").focus();
  } else if (from === element("search")) {
    element("text").focus();
  } else {
    stop();
  }
}

element("menu").addEventListener("click", () => menu(!isMenuOpen()));

// Where there is room the list is always there, and has no button.
function isMenuOpen() {
  return element("menu").getAttribute("aria-expanded") === "true" && element("menu").getClientRects().length > 0;
}

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
  decorate(document);
  element("text").value ||= draftHere();
  count();
  const unfinished = document.querySelector("li.assistant:is([data-status=pending], [data-status=streaming])");
  const unsent = unsentHere();
  if (unfinished) {
    forgetUnsent();
    return run(undefined, new AnswerView(unfinished));
  }
  if (!unsent) return;
  const { message, refused } = unsent;
  // What has been made of it meanwhile is the draft.
  if (refused && !refused.mayRepeat) return giveBack(draftHere() || message.text, refused);
  const view = show(message);
  if (refused) view.refuse(refused.code, refused.seconds, true);
  else run(message, view);
}

element("text").focus();
begin();
toEnd();
