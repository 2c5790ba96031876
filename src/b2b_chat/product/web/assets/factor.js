// How scripts speak to the API about the second factor.
import { detailOf, element, sendJson, words, worded } from "./page.js";

class Refused extends Error {}

// What the API answers; throws what to say where it refuses.
export async function ask(path, body) {
  const answer = await sendJson("POST", `/auth/second-factor${path}`, body);
  if (answer.ok) return answer.status === 204 ? {} : answer.json();
  const said = answer.status === 429 ? words.limited : worded((await detailOf(answer)).code, words.unknown);
  throw new Refused(said);
}

// Six digits however they are spaced, or a recovery code however its letters are written.
export function codeOfApp(form) {
  const typed = form.querySelector("[name=code]").value.trim().toLowerCase();
  return /[a-z]/.test(typed) ? typed.replace(/\s/g, "") : typed.replace(/[\s-]/g, "");
}

export function reasonOf(error) {
  return error instanceof Refused ? error.message : words.offline_now;
}

// Whether a fresh code was entered; asks for one on the page that is open, so that nothing typed there is lost.
export function steppedUp() {
  const dialog = element("step-up");
  const form = dialog.querySelector("form");
  const failure = element("step-up-failed");
  const code = form.querySelector("[name=code]");
  let done = false;
  const prove = async (event) => {
    event.preventDefault();
    failure.textContent = "";
    try {
      await ask("/proof", { code: codeOfApp(form) });
      done = true;
      dialog.close();
    } catch (error) {
      failure.textContent = reasonOf(error);
      code.select();
    }
  };
  const cancel = () => dialog.close();
  form.addEventListener("submit", prove);
  form.querySelector("[data-cancel]").addEventListener("click", cancel, { once: true });
  code.value = failure.textContent = "";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener(
      "close",
      () => {
        form.removeEventListener("submit", prove);
        resolve(done);
      },
      { once: true },
    ),
  );
}
