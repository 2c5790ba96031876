"""What people do with the software, well and badly, with a canary in every place that holds a secret or a text."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx

from support.canaries.caller import (
    ANSWER,
    COLLEAGUE,
    FAILING_PROMPTS,
    GUESSED_CODE,
    MARK,
    MESSAGE,
    OPERATOR,
    OWNER,
    PROMPT,
    REFUSED_BY_MAIL_SERVER,
    STRANGER,
    Caller,
)
from support.gateway.chat_bodies import chat_request
from support.processes.waiting import until
from support.product.authenticator import Authenticator
from support.product.operations import Operation, list_operations


class Story(Caller):
    """Walks through everything, and keeps every error body that it is given."""

    async def succeed(self) -> None:
        """Everything that works, at least once: every operation of product_api, and the gateway's own."""
        for path in ("/health", "/ready", "/auth/verify", "/invites/accept"):
            # Probes are for the machine itself; nginx shows the world that there are none.
            for method in ("GET", "HEAD"):
                assert (await self._direct.request(method, path)).status_code == 200
        owner = await self._sign_in(OWNER)
        await self._be_a_person(owner)
        self._key = await self._chat(owner)
        await self._run_the_company(owner)
        await self._operate()
        await self._do("POST", "/auth/logout", owner)
        await self._call_the_gateway()

    async def fail(self) -> None:
        """Everything that fails: every operation, by every kind of caller, with every kind of bad request."""
        owner = await self._sign_in(OWNER)
        callers: list[dict[str, str]] = [
            {},
            {"Authorization": f"Bearer b2b_{MARK}-guessed-key"},
            {"Cookie": f"session={MARK}-guessed-cookie"},
            owner,
            self._operator,
        ]
        self.canaries.add("API key", f"{MARK}-guessed-key")
        self.canaries.add("cookie", f"{MARK}-guessed-cookie")
        for operation in list_operations():
            for caller in callers:
                await self._harass(operation, caller, MESSAGE)
            for caller in callers[-2:]:
                await self._harass(operation, caller, str(uuid4()))
        await self._fail_at_chatting(owner)
        await self._fail_at_mail()
        await self._fail_at_the_gateway()
        await self._meet_a_defect(owner)

    async def lose_valkey(self) -> None:
        """What needs Valkey, without it."""
        assert (await self._direct.get("/ready")).status_code == 503
        await self._http.post("/v1/chat", json={"client_message_id": "w", "text": PROMPT}, headers=self._key)
        assert (await self._http.post("/auth/request-link", json={"email": OWNER})).status_code == 503
        body = json.dumps(chat_request(PROMPT)).encode()
        answer = await self._gateway.post("/v1/chat", content=body, headers=self._signed("POST", "/v1/chat", body))
        assert answer.status_code == 503

    async def lose_the_database(self) -> None:
        """All of it again, without a database."""
        for operation in list_operations():
            await self._harass(operation, self._operator, str(uuid4()))
        session = {"Cookie": f"session={MARK}-guessed-cookie"}
        await self._http.post("/v1/chat", json={"client_message_id": "x", "text": PROMPT}, headers=session)
        await self._direct.get("/ready")

    async def ask_under(self, request_id: str) -> None:
        """Add credits and send a message under this request id."""
        named = {**self._operator, "X-Request-ID": request_id}
        credit = {"amount_credits": "1", "external_id": uuid4().hex}
        await self._do("POST", f"/admin/companies/{self._company}/credits", named, credit)
        chat = {"client_message_id": uuid4().hex, "text": PROMPT}
        await self._do("POST", "/v1/chat", {**self._key, "X-Request-ID": request_id}, chat)
        # It does not cross the border: the gateway learns it from a caller of its own.
        async with httpx.AsyncClient() as http:
            await http.get(f"{self.stack.gateway_url}/health", headers={"X-Request-ID": request_id})

    async def ask_with_field(self, name: str) -> None:
        """Send an unknown field."""
        answer = await self._http.post("/auth/request-link", json={"email": OWNER, name: 1})
        assert answer.status_code == 400

    async def ask_for_path(self, name: str) -> None:
        """Ask for what is not there."""
        assert (await self._http.get(f"/{name}")).status_code == 404

    async def _be_a_person(self, owner: dict[str, str]) -> None:
        await self._do("GET", "/v1/me", owner)
        await self._do("PUT", "/v1/me/company", owner, {"company_id": self._company})
        another = await self._sign_in(OWNER)
        sessions = (await self._do("GET", "/auth/sessions", another))["items"]
        current = next(session["id"] for session in sessions if session["is_current"])
        await self._do("DELETE", f"/auth/sessions/{current}", owner)

    async def _chat(self, owner: dict[str, str]) -> dict[str, str]:
        created = await self._do("POST", "/v1/company/api-keys", owner, {"name": "bot", "scopes": ["chat", "read"]})
        self._keep_key(created["key"])
        key = {"Authorization": f"Bearer {created['key']}"}
        answer = await self._do("POST", "/v1/chat", key, {"client_message_id": "1", "text": PROMPT})
        assert answer["text"] == ANSWER
        conversation, message = answer["conversation_id"], answer["assistant_message_id"]
        again = {"client_message_id": "2", "text": PROMPT, "stream": True, "conversation_id": conversation}
        await self._do("POST", "/v1/chat", key, again)
        await self._do("GET", f"/v1/chat/{message}/events", key)
        await self._do("POST", f"/v1/chat/{message}/stop", key)
        one = f"/v1/conversations/{conversation}"
        for path in ("/v1/conversations", one, f"{one}/messages", f"/v1/chat/{message}", "/v1/balance", "/v1/ledger"):
            await self._do("GET", path, key)
        for path in ("/v1/ledger/export", "/v1/ledger/export?format=csv", "/v1/me/usage"):
            await self._do("GET", path, key)
        for path in ("/v1/company/usage", "/v1/company/usage/members"):
            await self._do("GET", path, owner)
        await self._be_an_openai_client(key)
        await self._browse(owner, conversation, answer["user_message_id"])
        await self._do("PUT", f"/v1/conversations/{conversation}/title", key, {"title": f"{MARK}-message-Xy1"})
        await self._do("DELETE", f"/v1/conversations/{conversation}", key)
        await self._do("GET", "/v1/company/api-keys", owner)
        throwaway = await self._do("POST", "/v1/company/api-keys", owner, {"name": "old", "scopes": ["read"]})
        self._keep_key(throwaway["key"])
        await self._do("DELETE", f"/v1/company/api-keys/{throwaway['api_key']['id']}", owner)
        return key

    async def _be_an_openai_client(self, key: dict[str, str]) -> None:
        for path in ("/v1/models", "/v1/models/gpt-5.2"):
            await self._do("GET", path, key)
        asked = {"model": "gpt-5.2", "messages": [{"role": "user", "content": PROMPT}]}
        answer = await self._do("POST", "/v1/chat/completions", key, asked)
        assert answer["choices"][0]["message"]["content"] == ANSWER
        response = await self._do("POST", "/v1/responses", key, {"model": "gpt-5.2", "input": PROMPT})
        assert response["output"][0]["content"][0]["text"] == ANSWER

    async def _browse(self, owner: dict[str, str], conversation: str, message: str) -> None:
        """What the web client loads."""
        parts = "/parts/conversations"
        answer, earlier = (f"{parts}/{conversation}/{which}/{message}" for which in ("answers", "before"))
        for path in ("/", "/sign-in", f"/c/{conversation}", parts, answer, earlier):
            page = await self._http.get(path, headers=owner)
            assert page.status_code < 400, (path, page.text)
            for asset in re.findall(r'"(/assets/[^"]+)"', page.text):
                assert (await self._http.get(asset)).status_code == 200

    async def _mask(self, owner: dict[str, str]) -> None:
        """Let the company hide its own words, and see what that does to a text that has them."""
        path = "/v1/company/masking"
        rules = {"groups": {"people": "mask"}, "kinds": {}}
        await self._do("GET", path, owner)
        await self._do("PUT", path, owner, {"version": 0, **rules})
        await self._do("PUT", f"{path}/own", owner, rules)
        lists = await self._do("GET", f"{path}/terms", owner)
        words = {"version": lists["version"], "terms": [MESSAGE], "allowed": []}
        await self._do("PUT", f"{path}/terms", owner, words)
        shown = await self._do("POST", "/v1/masking/preview", owner, {"text": MESSAGE})
        assert shown["masked_text"] == "[TERM_1]"
        await self._do("GET", f"{path}/counts", owner)

    async def _run_the_company(self, owner: dict[str, str]) -> None:
        await self._do("GET", "/v1/company", owner)
        await self._mask(owner)
        invites = "/v1/company/invites"
        unwanted = await self._do("POST", invites, owner, {"email": STRANGER, "role": "member"})
        await self._do("POST", f"{invites}/{unwanted['id']}/resend", owner)
        await self._do("GET", invites, owner)
        await self._do("DELETE", f"{invites}/{unwanted['id']}", owner)
        await self._do("POST", invites, owner, {"email": COLLEAGUE, "role": "member"})
        mail = await self.stack.mailbox.mail_to(COLLEAGUE)
        assert mail.link
        token = mail.link.partition("#")[2]
        self.canaries.add("link token", token)
        colleague = await self._sign_in(COLLEAGUE)
        await self._do("POST", "/v1/invites/accept", colleague, {"token": token})
        members = (await self._do("GET", "/v1/company/members", owner))["items"]
        member = next(each["user_id"] for each in members if each["email"] == COLLEAGUE)
        path = f"/v1/company/members/{member}"
        await self._do("GET", path, owner)
        await self._do("PATCH", path, owner, {"role": "admin"})
        await self._do("POST", f"{path}/block", owner)
        await self._do("POST", f"{path}/unblock", owner)
        await self._prove_a_second_factor(owner, member)
        await self._do("DELETE", path, owner)
        await self._do("GET", "/v1/company/audit", owner)
        for section in ("", "/members", "/invites", "/keys", "/usage", "/ledger", "/audit", "/sessions"):
            await self._do("GET", f"/company{section}", owner)

    async def _operate(self) -> None:
        operator = self._operator
        company = await self._do("POST", "/admin/companies", operator, {"name": "Other", "owner_email": COLLEAGUE})
        path = f"/admin/companies/{company['id']}"
        await self._do("GET", "/admin/companies", operator)
        await self._do("GET", path, operator)
        await self._do("POST", f"{path}/credits", operator, {"amount_credits": "5", "external_id": "i-1"})
        adjustment = {"corrects_position": 1, "amount_credits": "-1", "external_id": "a-1", "reason": "a test"}
        await self._do("POST", f"{path}/credits/adjustments", operator, adjustment)
        await self._do("GET", f"{path}/ledger", operator)
        await self._do("GET", "/admin/health", operator)
        await self._do("GET", "/parts/operator/health", operator)
        for section in ("", "/companies", f"/companies/{company['id']}", "/users", "/keys", "/audit", "/health"):
            page = await self._http.get(f"/operator{section}", headers=operator)
            assert page.status_code < 400, (section, page.text)
        await self._do("POST", f"{path}/block", operator)
        await self._do("POST", f"{path}/unblock", operator)
        users = (await self._do("GET", f"/admin/users?search={quote(COLLEAGUE)}", operator))["items"]
        user = f"/admin/users/{users[0]['id']}"
        await self._do("GET", user, operator)
        await self._do("POST", f"{user}/block", operator)
        await self._do("POST", f"{user}/unblock", operator)
        await self._do("DELETE", f"{user}/second-factor", operator)
        await self._do("GET", "/admin/audit", operator)
        await self._do("GET", "/admin/audit/export", operator)
        await self._keep_keys_as_operator(await self._sign_in(OPERATOR))

    async def _prove_a_second_factor(self, owner: dict[str, str], member: str) -> None:
        """A company asks its owner for one; the secret and the codes are the owner's alone."""
        await self._do("DELETE", f"/v1/company/members/{member}/second-factor", owner)
        await self._do("PATCH", "/v1/company", owner, {"needs_second_factor": True})
        await self._do("GET", "/auth/second-factor", owner)
        await self._do("GET", "/second-factor", owner)
        begun = await self._do("POST", "/auth/second-factor/enrolment", owner)
        app = Authenticator(begun["secret"])
        confirmation = {"code": app.code()}
        confirmed = await self._do("POST", "/auth/second-factor/enrolment/confirmation", owner, confirmation)
        self.canaries.add("second factor", begun["secret"], *confirmed["recovery_codes"])
        await self._do("POST", "/auth/second-factor/proof", owner, {"code": confirmed["recovery_codes"][0]})
        await self._do("PATCH", "/v1/company", owner, {"needs_second_factor": False})

    async def _keep_keys_as_operator(self, session: dict[str, str]) -> None:
        created = await self._do("POST", "/admin/keys", session, {"name": "robot"})
        self._keep_key(created["key"])
        await self._do("GET", "/admin/keys", session)
        await self._do("DELETE", f"/admin/keys/{created['api_key']['id']}", session)

    async def _call_the_gateway(self) -> None:
        for method, path, body in (
            ("GET", "/internal/ping", b""),
            ("POST", "/v1/chat", json.dumps(chat_request(PROMPT)).encode()),
            ("POST", "/v1/chat", json.dumps(chat_request(PROMPT, stream=True)).encode()),
        ):
            answer = await self._gateway.request(method, path, content=body, headers=self._signed(method, path, body))
            assert answer.status_code == 200, answer.text
        for path in ("/health", "/ready"):
            for method in ("GET", "HEAD"):
                assert (await self._http.request(method, self.stack.gateway_url + path)).status_code == 200

    async def _harass(self, operation: Operation, caller: dict[str, str], named: str) -> None:
        """Ask for an operation in every wrong way; `named` stands for what is named in its path."""
        if operation.name == "logOut":
            caller = {}
        path = re.sub(r"{.*?}", quote(named, safe=""), operation.path)
        is_probe = operation.path == "/ready"
        http = self._direct if named == MESSAGE or is_probe else self._http
        query = f"?email={quote(OWNER)}&cursor={quote(MESSAGE)}&token={MARK}-query-token&limit={MARK}-message-Xy1"
        hostile = {
            **caller,
            "User-Agent": f"{MARK}-message-Xy1",
            "Referer": f"https://canary.test/{quote(OWNER)}",
            "X-Forwarded-For": f"{MARK}-message-Xy1",
            "Last-Event-ID": f"{MARK}-message-Xy1",
            "X-Request-ID": OWNER,
        }
        self.canaries.add("link token", f"{MARK}-query-token")
        wrong = {"email": [OWNER], "text": {"x": MESSAGE}, "token": 5, "code": GUESSED_CODE, "role": MESSAGE}
        bodies = [json.dumps(wrong).encode(), f'{{"text": "{MESSAGE}'.encode(), b"[" * 200 + MESSAGE.encode()]
        if not operation.is_unsafe:
            bodies = [b""]
        for body in bodies:
            headers = {**hostile, "Content-Type": "application/json"}
            await http.request(operation.method, path + query, content=body or None, headers=headers)
        if operation.is_unsafe:
            await http.request(
                operation.method, path, headers={"Origin": f"https://{MARK}-message-Xy1.test", "Cookie": "session=x"}
            )

    async def _fail_at_chatting(self, owner: dict[str, str]) -> None:
        for number, prompt in enumerate(FAILING_PROMPTS):
            for stream in (False, True):
                body = {"client_message_id": f"failing-{number}-{stream}", "text": prompt, "stream": stream}
                answer = await self._http.post("/v1/chat", json=body, headers=owner)
                if stream and answer.status_code == 200:
                    assert "event: error" in answer.text, answer.text
                    self.error_bodies += answer.text.partition("event: error")[2].encode()
        await self._http.post("/v1/chat", json={"client_message_id": "1", "text": MESSAGE * 1000}, headers=owner)
        for wrong in ({"email": OWNER, "code": GUESSED_CODE}, {"token": f"{MARK}-query-token"}):
            assert (await self._http.post("/auth/verify", json=wrong)).status_code == 401

    async def _fail_at_mail(self) -> None:
        """A mail server refuses a person in words that name them, and then our password."""
        mailbox, begun = self.stack.mailbox, len(self.stack.mailbox.mails)
        await self._do("POST", "/admin/companies", self._operator, {"name": "N", "owner_email": REFUSED_BY_MAIL_SERVER})
        mailbox.answers["RCPT"] = f"550 {REFUSED_BY_MAIL_SERVER} is not known; {self.stack.secrets.smtp_password}"
        await self._do("POST", "/auth/request-link", {}, {"email": REFUSED_BY_MAIL_SERVER})
        await until(_is_written(self.stack.product.files["stdout"], b"mail_dead"))
        mailbox.answers.clear()
        assert len(mailbox.mails) == begun

    async def _fail_at_the_gateway(self) -> None:
        body = json.dumps(chat_request(PROMPT)).encode()
        good = self._signed("POST", "/v1/chat", body)
        garbage = {"X-Nonce": f"{MARK}-nonce-5Vb1", "X-Signature": "5eed" * 16, "X-Timestamp": str(int(time.time()))}
        self.canaries.add("nonce", garbage["X-Nonce"])
        self.canaries.add("signature", garbage["X-Signature"])
        for headers in (good, good, garbage, {}, {"Authorization": f"Bearer {self.stack.secrets.openai_key}"}):
            await self._gateway.post(f"/v1/chat?{quote(MESSAGE)}", content=body, headers=headers)
            await self._gateway.post("/v1/chat", content=body, headers=headers)
            await self._direct.get(f"{self.stack.gateway_url}/{quote(MESSAGE)}", headers=headers)
        for wrong in (b'{"messages": "' + MESSAGE.encode(), json.dumps({"x": MESSAGE}).encode()):
            await self._gateway.post("/v1/chat", content=wrong, headers=self._signed("POST", "/v1/chat", wrong))
        for prompt in FAILING_PROMPTS:
            body = json.dumps(chat_request(prompt)).encode()
            await self._gateway.post("/v1/chat", content=body, headers=self._signed("POST", "/v1/chat", body))
        for path in ("/v1/none", "/internal/ping"):
            await self._gateway.put(path, headers=self._signed("PUT", path, b""))

    async def _meet_a_defect(self, owner: dict[str, str]) -> None:
        """A table that is not there: exceptions that quote SQL with its parameters, in product_api and PostgreSQL."""
        for table in ("users", "messages", "login_challenges"):
            self.stack.sql(f"ALTER TABLE {table} RENAME TO {table}_away")
            await self._http.post("/v1/chat", json={"client_message_id": table, "text": PROMPT}, headers=owner)
            await self._http.post("/auth/verify", json={"email": OWNER, "code": GUESSED_CODE})
            await self._http.post("/auth/request-link", json={"email": OWNER})
            await self._http.get(f"/admin/users?search={quote(OWNER)}", headers=self._operator)
            self.stack.sql(f"ALTER TABLE {table}_away RENAME TO {table}")
        log = self.stack.product.files["stdout"].read_bytes()
        assert b"request_failed" in log
        assert b"UndefinedTable" in log


def _is_written(file: Path, text: bytes) -> Callable[[], Awaitable[bool]]:
    async def is_written() -> bool:
        return text in await asyncio.to_thread(file.read_bytes)

    return is_written
