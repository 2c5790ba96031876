// What the pages behind the links in mails share. They send the link's token only when a person asks for it: a mail
// scanner that runs these scripts clicks nothing.
import { element, sendJson } from "./page.js";

export { element };
export const token = location.hash.slice(1);

// The token leaves the address bar, and with it the browser's history.
history.replaceState(null, "", location.pathname);
// Another link that is opened here changes nothing but that part.
addEventListener("hashchange", () => location.reload());

// Call `work` with the response, or show that there was none; meanwhile no button can be pressed.
export async function send(path, body, work) {
  show(null);
  busy(true);
  try {
    await work(await sendJson("POST", path, body));
  } catch {
    show("failed");
  } finally {
    busy(false);
  }
}

function busy(yes) {
  for (const button of document.querySelectorAll("main button")) button.disabled = yes;
}

export function show(id) {
  for (const message of document.querySelectorAll("main [role=status] > p")) message.hidden = message.id !== id;
}
