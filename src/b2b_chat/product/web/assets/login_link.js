// The page behind the link in a login mail: signs in by the link's token, or by an address and its code.
import { element, send, show, token } from "./link.js";

element(token ? "by-link" : "by-code").hidden = false;

element("by-link").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn({ token });
});

element("by-code").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn({ email: element("email").value.trim(), code: element("code").value.replace(/\s/g, "") });
});

function signIn(proof) {
  return send("/auth/verify", proof, (answer) => {
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
  });
}
