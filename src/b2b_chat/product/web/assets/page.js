// What every page has: its words, HTML from our own server, the language switch, and signing out.

export const words = JSON.parse(document.body.dataset.words);

// What is said of a refusal or failure, by its code.
export function worded(code, otherwise) {
  return Object.hasOwn(words, code) ? words[code] : otherwise;
}

// The one way into innerHTML. What comes here was made, and cleaned, by our own server.
const policy = globalThis.trustedTypes?.createPolicy("b2b-chat", { createHTML: (html) => html });

export function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  return template.content;
}

export const element = (id) => document.getElementById(id);

// To everybody, above the message field.
export function say(text) {
  const status = element("status");
  if (status) status.textContent = text;
}

// To those who hear the page; it goes again, so that nobody comes upon it later.
const TOLD_MS = 7000;
let telling;

export function tell(text) {
  element("told").textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => (element("told").textContent = ""), TOLD_MS);
}

export function sendJson(method, path, body, signal) {
  return fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
}

// To the sign-in page, and from there back to this one. The way back stands where no server sees it.
export function signInAgain() {
  location.assign(`/sign-in#${location.pathname}`);
}

// The response to a request that a person can make again; none, and a word about it, where the network failed.
export async function heard(request) {
  try {
    return await request;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    say(words.offline);
    return undefined;
  }
}

// What a refusal of ours says; nothing where something on the way answered instead.
export async function detailOf(response) {
  try {
    return (await response.json()).detail ?? {};
  } catch {
    return {};
  }
}

export async function codeOf(response) {
  return (await detailOf(response)).code;
}

document.addEventListener("change", (event) => {
  if (!event.target.closest("[data-language-switch]")) return;
  document.cookie = `language=${event.target.value}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
});

document.addEventListener("click", async (event) => {
  if (!event.target.closest("[data-sign-out]")) return;
  if (!(await heard(sendJson("POST", "/auth/logout")))) return;
  sessionStorage.clear();
  location.assign("/sign-in");
});
