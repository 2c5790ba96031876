// Setting up a second factor, and proving it in this session.
import { element, say } from "./page.js";
import { ask, codeOfApp, reasonOf } from "./factor.js";

const FORMS = ["prove", "begin", "confirm", "codes"];

on("prove", async (form) => {
  await ask("/proof", { code: codeOfApp(form) });
  goOn();
});

on("begin", async () => {
  const made = await ask("/enrolment");
  element("secret").value = made.secret.replace(/(.{4})(?=.)/g, "$1 ");
  element("uri").href = made.uri;
  show("confirm");
});

on("confirm", async (form) => {
  const made = await ask("/enrolment/confirmation", { code: codeOfApp(form) });
  for (const code of made.recovery_codes) {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("code"), { textContent: code }));
    element("recovery-codes").append(item);
  }
  show("codes");
});

on("codes", goOn);

function on(id, work) {
  element(id)?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.target.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    say("");
    try {
      await work(event.target);
    } catch (error) {
      say(reasonOf(error));
      event.target.querySelector("[name=code]")?.select();
    } finally {
      button.disabled = false;
    }
  });
}

function show(id) {
  for (const each of FORMS) element(each).hidden = each !== id;
  element(id).querySelector("[name=code], button").focus();
}

// The page of ours that led here.
function goOn() {
  const url = new URL(location.hash.slice(1) || "/", location.origin);
  location.assign(url.origin === location.origin ? url.href : "/");
}
