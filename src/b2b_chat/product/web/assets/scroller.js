// Keeps the newest line in view, unless its reader has scrolled away from it.
import { element } from "./page.js";

const NEAR_PIXELS = 48;
const scroller = element("scroller");
let isAtEnd = true;
scroller.classList.remove("loading");

// After each layout that changed a size, and before it is painted: nothing is measured for a delta.
const observer = new ResizeObserver(() => isAtEnd && toEnd());
observer.observe(scroller);
observer.observe(scroller.firstElementChild);

scroller.addEventListener(
  "scroll",
  () => (isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_PIXELS),
  { passive: true },
);

export function toEnd() {
  isAtEnd = true;
  scroller.scrollTop = scroller.scrollHeight;
}

// Changes what is above what is read, and moves nothing of that.
export function insertAbove(insert) {
  // Browsers that anchor what is in view do it by themselves, but not at the very top.
  if (scroller.scrollTop === 0) scroller.scrollTop = 1;
  const toGo = scroller.scrollHeight - scroller.scrollTop;
  insert();
  if (!CSS.supports("overflow-anchor", "auto")) scroller.scrollTop = scroller.scrollHeight - toGo;
}
