// The pages for admins and operators: forms that call the API, files, times in the reader's words, what is asked again.
import { steppedUp } from "./factor.js";
import { codeOf, element, elements, heard, say, sendJson, signInAgain, words } from "./page.js";

const SAID = "said"; // what was done, for the page that is loaded after it
const REFRESH_MS = 5000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog") return;
  event.preventDefault();
  if ("find" in form.dataset) return go(location.pathname, form);
  if ("download" in form.dataset) return go(form.dataset.download, form);
  if ("try" in form.dataset) return showMasked(form);
  change(form);
});

document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy-from]");
  if (copy) copyFrom(element(copy.dataset.copyFrom), copy.closest("dialog").querySelector("[data-copied]"));
});

function go(path, form) {
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""));
  location.assign(`${path}?${query}`);
}

async function change(form) {
  const button = form.querySelector("button");
  if (button.disabled || !isWhole(form)) return;
  if (form.dataset.confirm && !(await confirmed(form.dataset.confirm, button.textContent))) return;
  button.disabled = true;
  fail(form, "");
  say("");
  try {
    const { method, path } = form.dataset;
    const send = () => sendJson(method, path, method === "DELETE" ? undefined : bodyOf(form));
    let answer = await send();
    const refused = answer.status === 403 ? await codeOf(answer.clone()) : undefined;
    if (refused === "step_up_required" && (await steppedUp())) answer = await send();
    if (refused === "sign_in_too_old" && (await confirmed(words.sign_in_too_old, words.sign_in_again))) return signInAgain();
    if (!answer.ok) return fail(form, await reasonOf(answer));
    const made = answer.status === 204 ? {} : await answer.json();
    if (form.dataset.reveal) return reveal(element(form.dataset.reveal), made);
    sessionStorage.setItem(SAID, form.dataset.said ?? "");
    if (form.dataset.next) location.assign(form.dataset.next.replace("{id}", made.id));
    else location.reload();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // a TypeError is how fetch says that the network failed
    fail(form, words.no_connection);
  } finally {
    button.disabled = false;
  }
}

const linesOf = (field) => field.value.split("\n").map((line) => line.trim()).filter(Boolean);

// The line of a list that no entry can be, counted as its reader counts.
function badLine(form) {
  for (const field of form.querySelectorAll("[data-lines]")) {
    const lines = field.value.split("\n").map((line) => line.trim());
    const bad = lines.findIndex((line) => line && (line.length < 2 || line.length > 200));
    if (bad >= 0) return { field, line: bad + 1 };
  }
  return undefined;
}

// Browsers have no way to say that one of some boxes must be ticked.
function isWhole(form) {
  const bad = badLine(form);
  if (bad) {
    fail(form, words.bad_line.replace("{line}", bad.line));
    bad.field.focus();
    return false;
  }
  const some = form.querySelector("[data-some]");
  if (!some || some.querySelector(":checked")) return true;
  fail(form, some.dataset.some);
  some.querySelector("input").focus();
  return false;
}

// A field's name may lead into an object, as in `groups.people`; of a text with an entry a line a list is made.
function bodyOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    const [name, inner] = field.name.split(".");
    if (inner !== undefined) body[name] = { ...body[name], ...(field.value && { [inner]: field.value }) };
    else if ("object" in field.dataset) body[name] = { ...body[name] };
    else if ("lines" in field.dataset) body[name] = linesOf(field);
    else if (field.type === "checkbox") body[field.name] = [...(body[field.name] ?? []), ...(field.checked ? [field.value] : [])];
    else if ("flag" in field.dataset) body[field.name] = field.value === "true";
    else if (field.value.trim() !== "") body[field.name] = "number" in field.dataset ? Number(field.value) : field.value.trim();
  }
  return Object.keys(body).length ? body : undefined;
}

// A file's lines go below those that are there, so that nothing is replaced unseen; saving is another step.
document.addEventListener("change", async (event) => {
  const { into } = event.target.dataset;
  const [file] = event.target.files ?? [];
  if (!into || !file) return;
  const field = event.target.form.elements[into];
  const read = decoded(await file.arrayBuffer());
  field.value = [...new Set([...linesOf(field), ...read.split(/\r?\n/)])].filter(Boolean).join("\n");
  event.target.value = "";
});

// Excel in Russian saves lists in windows-1251. Read as UTF-8 they would be saved as words that no text contains.
function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1251").decode(bytes);
  }
}

// What masking makes of a text, piece by piece: what is hidden is marked, and named by its kind.
async function showMasked(form) {
  const shown = form.querySelector("[data-shown]");
  fail(form, "");
  const answer = await heard(sendJson("POST", "/v1/masking/preview", { text: form.elements.text.value }));
  if (!answer) return;
  if (!answer.ok) return fail(form, await reasonOf(answer));
  const { parts } = await answer.json();
  const refused = new Set(parts.filter(({ action }) => action === "block").map(({ kind }) => words[`kind_${kind}`]));
  if (refused.size) fail(form, `${words.blocked} ${[...refused].join(", ")}.`);
  shown.replaceChildren(...parts.map(({ text, kind }) => (kind ? marked(text, kind) : document.createTextNode(text))));
}

function marked(text, kind) {
  const mark = document.createElement("mark");
  mark.textContent = text;
  const name = document.createElement("small");
  name.textContent = ` ${words[`kind_${kind}`]}`;
  mark.append(name);
  return mark;
}

async function reasonOf(answer) {
  const said = words[await codeOf(answer)] ?? words.unknown;
  return said.replace("{seconds}", answer.headers.get("Retry-After") ?? "");
}

// Why it did not work, beside the form, where a screen reader tells it too.
function fail(form, text) {
  let failure = form.querySelector(".failure");
  if (!failure) {
    failure = document.createElement("p");
    failure.className = "failure";
    failure.setAttribute("role", "alert");
    form.append(failure);
  }
  failure.textContent = text;
}

function confirmed(question, label) {
  const dialog = element("confirm");
  element("confirm-text").textContent = `${question}${/[?？.]$/.test(question) ? "" : "?"}`;
  dialog.querySelector("[value=yes]").textContent = label;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }),
  );
}

// What is shown this once; closing it shows the page with what has changed.
function reveal(dialog, made) {
  for (const field of dialog.querySelectorAll("[data-revealed]")) field.value = made[field.dataset.revealed];
  dialog.addEventListener("close", () => location.reload(), { once: true });
  dialog.showModal();
  dialog.querySelector("[data-revealed]").select();
}

async function copyFrom(field, status) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    status.textContent = words.copied_key;
  } catch {
    status.textContent = words.copy_by_hand; // a page without TLS has no clipboard
  }
}

const language = document.documentElement.lang;
const formats = {
  day: new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" }),
  seconds: new Intl.DateTimeFormat(language, { timeStyle: "medium" }),
  moment: new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }),
};

function tellTimes(part) {
  for (const time of part.querySelectorAll("time")) {
    const format = "day" in time.dataset ? formats.day : "seconds" in time.dataset ? formats.seconds : formats.moment;
    time.textContent = format.format(new Date(time.dateTime));
  }
}

// Asked again while the page is visible. Only a change is announced: a screen reader need not repeat the same text.
async function keepFresh(place) {
  let told = summaryOf(place);
  say(told);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, REFRESH_MS));
    if (document.hidden) continue;
    try {
      const answer = await fetch(place.dataset.refresh);
      if (!answer.ok) {
        say((told = await reasonOf(answer)));
        continue;
      }
      const part = elements(await answer.text());
      tellTimes(part);
      place.replaceChildren(part);
      if (summaryOf(place) !== told) say((told = summaryOf(place)));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      say((told = words.no_connection));
    }
  }
}

function summaryOf(place) {
  return place.querySelector("[data-summary]").dataset.summary;
}

tellTimes(document);
const said = sessionStorage.getItem(SAID);
sessionStorage.removeItem(SAID);
if (said) setTimeout(() => say(said)); // later than the page itself, so that it is read out as something new
const fresh = document.querySelector("[data-refresh]");
if (fresh) keepFresh(fresh);
