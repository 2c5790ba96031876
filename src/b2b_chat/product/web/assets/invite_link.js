// The page behind the link in an invite's mail: joins the company as the person who is signed in.
import { element, send, show, token } from "./link.js";

const MESSAGES = { 401: "unknown", 403: "blocked", 404: "refused", 409: "member" };

element("join").hidden = !token;
if (!token) show("refused");

element("join").addEventListener("submit", (event) => {
  event.preventDefault();
  send("/v1/invites/accept", { token }, (answer) => {
    element("join").hidden = answer.ok;
    show(answer.ok ? "done" : (MESSAGES[answer.status] ?? "failed"));
  });
});
