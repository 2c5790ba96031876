// Sends the token or code only when a person asks for it: a mail scanner that runs this script clicks nothing.

const VERIFY_URL = new URL("verify", import.meta.url);

const element = (id) => document.getElementById(id);
const token = location.hash.slice(1);

// The token leaves the address bar, and with it the browser's history.
history.replaceState(null, "", location.pathname);
// Another link that is opened here changes nothing but that part.
addEventListener("hashchange", () => location.reload());
element(token ? "by-link" : "by-code").hidden = false;

element("by-link").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn({ token });
});

element("by-code").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn({ email: element("email").value.trim(), code: element("code").value.replace(/\s/g, "") });
});

async function signIn(proof) {
  show(null);
  busy(true);
  try {
    const answer = await fetch(VERIFY_URL, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(proof),
    });
    if (answer.ok) {
      element("by-link").hidden = element("by-code").hidden = true;
      show("done");
      location.replace("/");
    } else if (answer.status === 429) {
      show("limited");
    } else if (answer.status >= 500) {
      show("failed");
    } else {
      element("by-link").hidden = true;
      element("by-code").hidden = false;
      show("refused");
    }
  } catch {
    show("failed");
  } finally {
    busy(false);
  }
}

function busy(yes) {
  for (const button of document.querySelectorAll("button")) button.disabled = yes;
}

function show(id) {
  for (const message of document.querySelectorAll("[role=status] > p")) message.hidden = message.id !== id;
}
