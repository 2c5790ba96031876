// An address, then the code from its mail. The mail's link signs in by itself.
import { element, say, sendJson, words } from "./page.js";

element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  once(event.target, async () => {
    const answer = await sendJson("POST", "/auth/request-link", {
      email: element("email").value.trim(),
      language: document.documentElement.lang,
    });
    if (!answer.ok) return say(answer.status === 429 ? words.limited : words.unknown);
    ask(false);
  });
});

element("prove").addEventListener("submit", (event) => {
  event.preventDefault();
  once(event.target, async () => {
    const answer = await sendJson("POST", "/auth/verify", {
      email: element("email").value.trim(),
      code: element("code").value.replace(/\s/g, ""),
    });
    if (answer.ok) return location.assign("/");
    say(answer.status === 429 ? words.limited : answer.status >= 500 ? words.unknown : words.wrong_code);
  });
});

element("again").addEventListener("click", () => ask(true));

function ask(forAddress) {
  element("ask").hidden = !forAddress;
  element("prove").hidden = forAddress;
  say("");
  element(forAddress ? "email" : "code").focus();
}

async function once(form, work) {
  const button = form.querySelector("button.main");
  if (button.disabled) return;
  button.disabled = true;
  say("");
  try {
    await work();
  } catch {
    say(words.offline);
  } finally {
    button.disabled = false;
  }
}
