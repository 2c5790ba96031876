// The messages before those on the page: they come when their place comes near, or by their button.
import { decorate } from "./decorations.js";
import { element, elements, heard } from "./page.js";
import { insertAbove } from "./scroller.js";

const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => loadEarlier(entry.target)),
  { root: element("scroller"), rootMargin: "2000px 0px 0px" },
);

export async function loadEarlier(button) {
  if (button.disabled) return;
  const hadFocus = document.activeElement === button; // a disabled one loses it
  button.disabled = true;
  near.unobserve(button);
  const path = `/parts/conversations/${document.body.dataset.conversation}/before`;
  const response = await heard(fetch(`${path}/${button.dataset.earlier}`));
  const html = response?.ok ? await heard(response.text()) : undefined;
  button.disabled = false;
  if (!html) return;
  const messages = elements(html);
  decorate(messages);
  insertAbove(() => button.closest("li").replaceWith(messages));
  if (hadFocus) element("scroller").focus();
  watch();
}

function watch() {
  const button = document.querySelector("[data-earlier]");
  if (button) near.observe(button);
}

watch();
