// An address, then the code from its mail. The mail's link signs in by itself.
import { element, say, sendJson, words } from "./page.js";

element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  once(event.target, "email", async () => {
    const answer = await sendJson("POST", "/auth/request-link", {
      email: element("email").value.trim(),
      language: document.documentElement.lang,
    });
    if (answer.ok) return ask(false);
    const wrong = answer.status === 400 || answer.status === 422;
    complain(answer.status === 429 ? words.limited : wrong ? words.wrong_email : words.unknown, wrong && "email");
  });
});

element("prove").addEventListener("submit", (event) => {
  event.preventDefault();
  once(event.target, "code", async () => {
    const answer = await sendJson("POST", "/auth/verify", {
      email: element("email").value.trim(),
      code: element("code").value.replace(/\s/g, ""),
    });
    if (answer.ok) return location.assign(wanted());
    const wrong = answer.status === 401;
    complain(answer.status === 429 ? words.limited_code : wrong ? words.wrong_code : words.unknown, wrong && "code");
  });
});

element("again").addEventListener("click", () => ask(true));

function ask(forAddress) {
  element("ask").hidden = !forAddress;
  element("prove").hidden = forAddress;
  say("");
  element("code").value = "";
  element(forAddress ? "email" : "code").focus();
}

// A word about what failed, and back to the field that is to be mended, if one is.
function complain(text, field) {
  say(text);
  if (!field) return;
  element(field).setAttribute("aria-invalid", "true");
  element(field).focus();
  element(field).select();
}

// The page of ours that led here.
function wanted() {
  const url = new URL(location.hash.slice(1) || "/", location.origin);
  return url.origin === location.origin ? url.href : "/";
}

async function once(form, field, work) {
  const button = form.querySelector("button.main");
  if (button.disabled) return;
  button.disabled = true;
  element(field).removeAttribute("aria-invalid");
  say("");
  try {
    await work();
  } catch {
    say(words.offline_now);
  } finally {
    button.disabled = false;
  }
}
