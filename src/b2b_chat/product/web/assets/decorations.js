// What a rendered answer gets in the browser: a button that copies a block of code, and a way to scroll what is wide.
import { tell, words } from "./page.js";

const SHOWN_MS = 2000;

export function decorate(root) {
  for (const pre of root.querySelectorAll(".markdown pre")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-code";
    button.title = words.copy_code;
    button.setAttribute("aria-label", words.copy_code);
    pre.tabIndex = 0;
    wrap(pre, "code").prepend(button);
  }
  for (const table of root.querySelectorAll(".markdown table")) wrap(table, "wide").tabIndex = 0;
}

function wrap(inner, name) {
  const box = document.createElement("div");
  box.className = name;
  inner.replaceWith(box);
  box.append(inner);
  return box;
}

// A text to the clipboard, with a word about it on the button and to screen readers.
export async function copy(text, button) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copied = false; // refused by the person, or not offered at all on a page without TLS
  }
  tell(copied ? words.copied : words.copy_failed);
  button.dataset.said = copied ? "copied" : "failed";
  setTimeout(() => delete button.dataset.said, SHOWN_MS);
}
