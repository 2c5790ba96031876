"""The calls of the story of the canaries: each error body is kept, and each new secret becomes a canary."""

import time
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx

from b2b_chat.contract.signing import sign
from support.canaries.stack import WatchedStack
from support.canaries.values import Canaries

MARK: Final = "canary7c1e"
MESSAGE: Final = f"{MARK}-message-Xy1 канарейка-в-сообщении"
ANSWER: Final = f"{MARK}-answer-Pq8"
OWNER: Final = f"{MARK}-owner+mail@canary.test"
COLLEAGUE: Final = f"{MARK}-colleague@canary.test"
STRANGER: Final = f"{MARK}-stranger@canary.test"
OPERATOR: Final = "ops@example.test"
REFUSED_BY_MAIL_SERVER: Final = f"{MARK}-refused@canary.test"
GUESSED_CODE: Final = "918273"
PROMPT: Final = f"[[simulate: text={quote(ANSWER)}]] {MESSAGE}"
FAILING_PROMPTS: Final = [
    f"[[simulate: {how}]] {MESSAGE}"
    for how in (
        "status=400",
        "status=401",
        "status=500; fail_times=9",
        "cut_after=1",
        f"text={quote(ANSWER)}; cut_after=1",
    )
]


class Caller:
    """Calls both apps, as the people of the story do."""

    def __init__(self, stack: WatchedStack, canaries: Canaries) -> None:
        self.stack = stack
        self.canaries = canaries
        self.error_bodies = b""
        # The proxy before the apps logs paths, which hold ids. Paths that hold more than ids go past it.
        self._direct = httpx.AsyncClient(base_url=stack.url, timeout=30)
        self._http = stack.client("product_api")
        self._gateway = stack.client("gateway_api")
        for http in (self._direct, self._http, self._gateway):
            http.event_hooks = {"response": [self._keep]}
        self._operator_key = ""
        self._company = ""
        self._key: dict[str, str] = {}
        canaries.add("email", OWNER, COLLEAGUE, STRANGER, REFUSED_BY_MAIL_SERVER, OWNER.partition("@")[0])
        canaries.add("message", f"{MARK}-message-Xy1", "канарейка-в-сообщении")
        canaries.add("answer", ANSWER)
        canaries.add("code", GUESSED_CODE)
        secrets = stack.secrets
        canaries.add("HMAC secret", secrets.shared)
        canaries.add("keys of hashes", secrets.session, secrets.auth_token, secrets.invite_token)
        canaries.add("OpenAI key", secrets.openai_key)
        canaries.add("DSN", secrets.database_password, secrets.owner_password)
        canaries.add("SMTP password", secrets.smtp_password)
        canaries.add("Valkey password", secrets.valkey_password)

    def set_up(self, *, operator_key: str, company: str) -> None:
        """Tell what the commands have made."""
        self._operator_key, self._company = operator_key, company
        self._keep_key(operator_key)

    async def close(self) -> None:
        """Let go of the connections."""
        for http in (self._direct, self._http, self._gateway):
            await http.aclose()

    async def _sign_in(self, email: str) -> dict[str, str]:
        """A session's cookie, by the code and at the second time by the link."""
        asked = len(self.stack.mailbox.to(email))
        requested = await self._do("POST", "/auth/request-link", {}, {"email": email})
        self.canaries.add("login request", requested["login_request"])
        mail = await self.stack.mailbox.mail_to(email, number=asked + 1)
        assert mail.link
        assert mail.code
        token = mail.link.partition("#")[2]
        self.canaries.add("link token", token)
        self.canaries.add("code", mail.code)
        proof = {"token": token} if asked else {"email": email, "code": mail.code}
        await self._do("POST", "/auth/link", {}, {"token": token})
        self._http.cookies.clear()
        await self._do("POST", "/auth/verify", {}, proof)
        cookie = self._http.cookies["session"]
        self.canaries.add("known browser", self._http.cookies["known-browser"])
        self._http.cookies.clear()
        self.canaries.add("cookie", cookie)
        return {"Cookie": f"session={cookie}"}

    async def _do(
        self, method: str, path: str, caller: dict[str, str] | None = None, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """A request that must succeed; its JSON."""
        answer = await self._http.request(method, path, json=body, headers=caller)
        assert answer.status_code < 300, (method, path, answer.text)
        is_json = answer.headers.get("content-type", "") == "application/json" and answer.content
        found: dict[str, Any] = answer.json() if is_json else {}
        return found

    async def _keep(self, response: httpx.Response) -> None:
        # A page of the web client is no error body: it names its own viewer.
        if response.status_code >= 400 and not response.headers.get("content-type", "").startswith("text/html"):
            head = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
            self.error_bodies += head.encode() + await response.aread() + b"\n"

    @property
    def _operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._operator_key}"}

    def _keep_key(self, key: str) -> None:
        """A key is to be kept; its first characters are shown by design, to be known by."""
        self.canaries.add("API key", key, key[-32:])

    def _signed(self, method: str, path: str, body: bytes) -> dict[str, str]:
        headers = sign(self.stack.secrets.shared.encode(), method, path, body, unix_seconds=int(time.time()))
        self.canaries.add("signature", headers["X-Signature"])
        self.canaries.add("nonce", headers["X-Nonce"])
        return {**headers, "Content-Type": "application/json", "X-Request-ID": uuid4().hex}
