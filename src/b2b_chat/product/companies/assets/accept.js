// Sends the token only when a person asks for it: a mail scanner that runs this script clicks nothing.

const ACCEPT_URL = "/v1/invites/accept";
const MESSAGES = { 401: "unknown", 403: "blocked", 404: "refused", 409: "member" };

const element = (id) => document.getElementById(id);
const token = location.hash.slice(1);

// The token leaves the address bar, and with it the browser's history.
history.replaceState(null, "", location.pathname);
element("join").hidden = !token;
if (!token) show("refused");

element("join").addEventListener("submit", (event) => {
  event.preventDefault();
  accept();
});

async function accept() {
  show(null);
  element("button").disabled = true;
  try {
    const answer = await fetch(ACCEPT_URL, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    element("join").hidden = answer.ok;
    show(answer.ok ? "done" : (MESSAGES[answer.status] ?? "failed"));
  } catch {
    show("failed");
  } finally {
    element("button").disabled = false;
  }
}

function show(id) {
  for (const message of document.querySelectorAll("[role=status] > p")) message.hidden = message.id !== id;
}
