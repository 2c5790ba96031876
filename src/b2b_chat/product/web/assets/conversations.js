// The list of conversations: search, rename, delete.
import { codeOf, element, elements, heard, say, sendJson, signInAgain, tell, worded, words } from "./page.js";

const SEARCH_PAUSE_MS = 200;
let timer;
let shown = 0;

export async function refresh() {
  const number = ++shown;
  const html = await listed();
  // A slower answer to an earlier search must not replace this one's.
  if (html === undefined || number !== shown) return;
  const list = element("conversations");
  const focused = list.contains(document.activeElement) ? document.activeElement : undefined;
  const place = focused && placeOf(focused);
  list.replaceChildren(elements(html));
  if (place) focusAt(place);
  const current = list.querySelector("[aria-current]");
  if (current) document.title = `${(element("title").textContent = current.textContent)} · ${words.title}`;
}

// The list as it is searched now, from its start or after one of its conversations.
async function listed(after) {
  const query = new URLSearchParams({ search: element("search").value.trim() });
  if (document.body.dataset.conversation) query.set("current", document.body.dataset.conversation);
  if (after) query.set("after", after);
  const response = await heard(fetch(`/parts/conversations?${query}`));
  if (response?.status === 401) signInAgain();
  return response?.ok ? await heard(response.text()) : undefined;
}

async function more(button) {
  const number = shown;
  button.disabled = true;
  const html = await listed(button.dataset.more);
  button.disabled = false;
  if (html === undefined || number !== shown) return;
  const added = elements(html);
  const first = added.querySelector("a");
  button.closest("li").replaceWith(added);
  first.focus();
}

function placeOf(focused) {
  const item = focused.closest("li");
  return { id: item.dataset.id, number: [...item.parentNode.children].indexOf(item), role: focused.className };
}

// Where the focus was: the same conversation's, or that of the one that came into a deleted one's place.
function focusAt({ id, number, role }) {
  const items = [...element("conversations").querySelectorAll("li[data-id]")];
  const item = items.find((each) => each.dataset.id === id) ?? items[Math.min(number, items.length - 1)];
  (item?.querySelector(role ? `.${role}` : "a") ?? element("search")).focus();
}

element("search").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    await refresh();
    const found = element("conversations").querySelectorAll("li[data-id]").length;
    tell(words.found.replace("{number}", String(found)));
  }, SEARCH_PAUSE_MS);
});

element("conversations").addEventListener("click", async (event) => {
  const last = event.target.closest("[data-more]");
  if (last && !last.disabled) return more(last);
  const item = event.target.closest("li[data-id]");
  if (!item) return;
  const path = `/v1/conversations/${item.dataset.id}`;
  let answer;
  if (event.target.closest(".rename")) {
    const title = prompt(words.rename_prompt, item.querySelector("a").textContent)?.trim();
    if (!title) return;
    answer = await heard(sendJson("PUT", `${path}/title`, { title: [...title].slice(0, 80).join("") }));
  } else if (event.target.closest(".erase")) {
    if (!confirm(words.erase_confirm)) return;
    answer = await heard(fetch(path, { method: "DELETE" }));
    if (answer?.ok && item.dataset.id === document.body.dataset.conversation) return location.assign("/");
  } else {
    return;
  }
  if (!answer) return;
  if (answer.ok) say("");
  else say(worded(await codeOf(answer), words.unknown));
  await refresh();
});
