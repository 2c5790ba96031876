// The page behind the link in a login mail: signs in by the link's token, or by an address and its code.
import { element, send, show, token } from "./link.js";

// Whom the link signs in is shown before it does: a link of another person's account may have been sent to the reader.
let isShown = false;

element(token ? "by-link" : "by-code").hidden = false;
if (token) showAccount();

element("by-link").addEventListener("submit", (event) => {
  event.preventDefault();
  isShown ? signIn({ token }) : showAccount();
});

element("by-code").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn({ email: element("email").value.trim(), code: element("code").value.replace(/\s/g, "") });
});

function showAccount() {
  return send("/auth/link", { token }, async (answer) => {
    if (!answer.ok) return complain(answer);
    const link = await answer.json();
    element("account-email").textContent = link.email;
    element("account").hidden = false;
    element("elsewhere").hidden = link.is_asked_for_here;
    isShown = true;
  });
}

function signIn(proof) {
  return send("/auth/verify", proof, (answer) => {
    if (!answer.ok) return complain(answer);
    element("by-link").hidden = element("by-code").hidden = true;
    show("done");
    location.replace("/");
  });
}

function complain(answer) {
  if (answer.status === 429) {
    show("limited");
  } else if (answer.status >= 500) {
    show("failed");
  } else {
    element("by-link").hidden = true;
    element("by-code").hidden = false;
    show("refused");
  }
}
