// One answer on the page. A delta costs one append to one text node, however long the answer is.
import { element, elements, heard, say, words } from "./page.js";

export class AnswerView {
  constructor(item, message) {
    this.item = item;
    this.message = message;
    this.answerId = item.dataset.id;
    this.onStart = () => {};
    item.classList.add("live");
    item.setAttribute("aria-busy", "true");
    item.querySelector(".failure")?.remove();
    this.#empty();
  }

  // A new attempt at the same answer begins anew too.
  start(ids) {
    this.ids = ids;
    this.answerId = this.item.dataset.id = ids.assistant_message_id;
    this.#empty();
    this.onStart(ids);
  }

  delta({ text }) {
    this.text.appendData(text);
  }

  async finish(answer) {
    if (!this.ids) return location.reload();
    element("balance").textContent = withoutZeros(answer.balance_credits);
    if (this.text.data === "") this.text.data = answer.text;
    try {
      const path = `/parts/conversations/${this.ids.conversation_id}/answers/${this.ids.user_message_id}`;
      const shown = await heard(fetch(path));
      if (shown?.ok) this.item.replaceWith(elements(await shown.text()));
    } finally {
      this.#end();
    }
  }

  fail(code, retryAfterSeconds) {
    this.#end();
    this.#empty();
    const failure = element("failure").content.cloneNode(true);
    const said = words[code] ?? words.failed;
    failure.querySelector("span").textContent = said.replace("{seconds}", String(retryAfterSeconds));
    this.item.append(failure);
    this.item.dataset.status = "error";
    this.item.message = this.message;
  }

  #empty() {
    this.text = document.createTextNode("");
    this.item.querySelector(".text").replaceChildren(this.text);
  }

  #end() {
    say("");
    this.item.classList.remove("live");
    this.item.removeAttribute("aria-busy");
  }
}

function withoutZeros(amount) {
  return amount.includes(".") ? amount.replace(/\.?0+$/, "") : amount;
}
