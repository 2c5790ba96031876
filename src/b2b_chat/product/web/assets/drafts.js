// What this tab's person has typed or sent and the server does not have: it survives reloads and signing in again.
const UNSENT = "unsent";
const DRAFT = "draft";

// Before the first try; until the server has acknowledged the message.
export function keepUnsent(message) {
  write(UNSENT, { message });
}

// Refused, it is shown again: with a button to try again, or in the composer. It is not sent by itself.
export function keepRefused(message, code, seconds, mayRepeat) {
  write(UNSENT, { message, refused: { code, seconds, mayRepeat } });
}

export function forgetUnsent() {
  sessionStorage.removeItem(UNSENT);
}

export function unsentHere() {
  const unsent = read(UNSENT);
  return (unsent?.message.conversation_id ?? "") === document.body.dataset.conversation ? unsent : undefined;
}

export function keepDraft(text) {
  if (text) write(DRAFT, { conversation: document.body.dataset.conversation, text });
  else sessionStorage.removeItem(DRAFT);
}

export function draftHere() {
  const draft = read(DRAFT);
  return draft?.conversation === document.body.dataset.conversation ? draft.text : "";
}

function write(name, what) {
  sessionStorage.setItem(name, JSON.stringify({ ...what, me: document.body.dataset.me }));
}

// Drafts of an earlier user of this tab are dropped.
function read(name) {
  const kept = JSON.parse(sessionStorage.getItem(name) ?? "null");
  return kept?.me === document.body.dataset.me ? kept : undefined;
}
