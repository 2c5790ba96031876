// The list of conversations: search, rename, delete.
import { codeOf, element, elements, heard, say, sendJson, words } from "./page.js";

const SEARCH_PAUSE_MS = 200;
let timer;
let shown = 0;

export async function refresh() {
  const number = ++shown;
  const query = new URLSearchParams({ search: element("search").value.trim() });
  if (document.body.dataset.conversation) query.set("current", document.body.dataset.conversation);
  const response = await heard(fetch(`/parts/conversations?${query}`));
  // A slower answer to an earlier search must not replace this one's.
  if (response?.ok && number === shown) element("conversations").replaceChildren(elements(await response.text()));
}

element("search").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(refresh, SEARCH_PAUSE_MS);
});

element("conversations").addEventListener("click", async (event) => {
  const item = event.target.closest("li[data-id]");
  if (!item) return;
  const path = `/v1/conversations/${item.dataset.id}`;
  let answer;
  if (event.target.closest("[data-rename]")) {
    const title = prompt(words.rename_prompt, item.querySelector("a").textContent)?.trim();
    if (!title) return;
    answer = await heard(sendJson("PUT", `${path}/title`, { title: title.slice(0, 80) }));
  } else if (event.target.closest("[data-erase]")) {
    if (!confirm(words.erase_confirm)) return;
    answer = await heard(fetch(path, { method: "DELETE" }));
    if (answer?.ok && item.dataset.id === document.body.dataset.conversation) return location.assign("/");
  } else {
    return;
  }
  if (!answer) return;
  if (!answer.ok) say(words[await codeOf(answer)] ?? words.unknown);
  await refresh();
});
