// One answer on the page. A delta costs one append to a text node of bounded length, however long the answer is.
import { decorate } from "./decorations.js";
import { element, elements, heard, say, tell, worded, words } from "./page.js";

// A piece of text is laid out anew whenever it grows, so a new one is begun at the next line's end after so many.
const BLOCK_CHARACTERS = 2000;

export class AnswerView {
  isGivenUp = false; // the person has pressed Stop before the server told that it has the message
  onStart = () => {};
  onRefused = () => {};
  onGivenUp = () => {};

  constructor(item, message) {
    this.item = item;
    this.message = message;
    this.answerId = item.dataset.id;
    item.classList.add("live");
    item.setAttribute("aria-busy", "true");
    item.querySelector(".failure")?.remove();
    this.#empty();
    tell(words.writing);
  }

  // A new attempt at the same answer begins anew too.
  start(ids) {
    this.ids = ids;
    this.answerId = this.item.dataset.id = ids.assistant_message_id;
    this.#empty();
    this.onStart(ids);
  }

  // The answer broke off, and is written anew.
  restart() {
    this.#empty();
  }

  delta({ text }) {
    for (;;) {
      const end = text.indexOf("\n", Math.max(0, BLOCK_CHARACTERS - this.text.length));
      if (end < 0) return this.text.appendData(text);
      this.text.appendData(text.slice(0, end)); // the line ends with its block
      text = text.slice(end + 1);
      this.#beginBlock();
    }
  }

  async finish(answer) {
    if (!this.ids) return location.reload();
    element("balance").textContent = withoutZeros(answer.balance_credits);
    const shown = await this.#rendered();
    this.#end();
    if (!shown) return; // what was written stays, plain, until the page is loaded again
    decorate(shown);
    const item = shown.firstElementChild;
    this.item.replaceWith(item);
    tell(`${words.assistant}: ${item.querySelector(".text").textContent}`);
  }

  // The message was not taken, or nobody knows whether it was.
  refuse(code, retryAfterSeconds, mayRepeat) {
    this.item.wasRefused = code !== "unacknowledged";
    this.onRefused(code, retryAfterSeconds, mayRepeat);
    if (mayRepeat) this.fail(code, retryAfterSeconds, mayRepeat);
    else this.#end();
  }

  // With a button that asks again where that can help, and else one that takes the question into the composer.
  fail(code, retryAfterSeconds, mayRepeat) {
    this.#end();
    this.#empty();
    const failure = element("failure").content.cloneNode(true);
    failure.querySelector("span").textContent = reasonOf(code, retryAfterSeconds);
    failure.querySelector(mayRepeat ? "[data-edit]" : "[data-retry]").remove();
    this.item.append(failure);
    this.item.dataset.status = "error";
    this.item.message = this.message;
  }

  // The answer as the server shows it; nothing where the network fails again and again.
  async #rendered() {
    const path = `/parts/conversations/${this.ids.conversation_id}/answers/${this.ids.user_message_id}`;
    for (let tries = 0; tries < 3; tries += 1) {
      const shown = await heard(fetch(path).then(async (response) => (response.ok ? response.text() : "")));
      if (shown) return elements(shown);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    return undefined;
  }

  #empty() {
    this.item.querySelector(".text").replaceChildren();
    this.#beginBlock();
  }

  #beginBlock() {
    const block = document.createElement("div");
    this.text = document.createTextNode("");
    block.append(this.text);
    this.item.querySelector(".text").append(block);
  }

  #end() {
    say("");
    this.item.classList.remove("live");
    this.item.removeAttribute("aria-busy");
  }
}

export function reasonOf(code, retryAfterSeconds) {
  return worded(code, words.failed).replace("{seconds}", String(retryAfterSeconds));
}

function withoutZeros(amount) {
  return amount.includes(".") ? amount.replace(/\.?0+$/, "") : amount;
}
