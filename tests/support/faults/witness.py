"""Clients under faults, and a witness of every acknowledgement they got: each must come true.

`Witness.check` holds the invariants of the fault suite.
"""

import asyncio
import io
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import aiohttp

from b2b_chat.contract.sse import Decoder, Event
from b2b_chat.product.credits.invariants import verify_ledger
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.processes.commands import clean_environ, run
from support.processes.waiting import until

TERMINAL_SECONDS: Final = 120
_MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
_REQUEST_SECONDS: Final = 60
_RETRY_SECONDS: Final = 0.2

BROKEN: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""What a client sees when it is not answered, or not to the end."""


class Documented:
    """The errors of product_api's OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._errors: dict[str, set[tuple[int, str]]] = {}
        for operations in document["paths"].values():
            for operation in operations.values():
                self._errors[operation["operationId"]] = {
                    (int(status), code)
                    for status, answer in operation["responses"].items()
                    for content in answer.get("content", {}).values()
                    for code in content.get("examples", {})
                }

    def problem(self, operation_id: str, status: int | None, body: Any) -> str | None:
        """What is wrong with an error; a status of None is that of an event, whose code alone counts."""
        detail = body.get("detail") if isinstance(body, dict) else None
        if (
            not isinstance(detail, dict)
            or set(body) != {"detail"}
            or set(detail) - {"param"} != {"code", "message", "retryable", "request_id"}
        ):
            return f"{operation_id}: not a documented form: {status} {body!r}"
        code = detail["code"]
        known = self._errors[operation_id]
        if (status, code) in known or (status is None and code in {known_code for _, known_code in known}):
            return None
        return f"{operation_id}: not a documented error: {status} {code}"


def documented_errors(stack: FaultStack) -> Documented:
    """What the document says that the product prints."""
    return Documented(json.loads(run("openapi", "product", environ=clean_environ(stack.folder)).stdout))


class Ids(NamedTuple):
    """The names of a message and its answer."""

    user_message_id: str
    assistant_message_id: str

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Ids":
        """As the product reports them."""
        return cls(data["user_message_id"], data["assistant_message_id"])


@dataclass
class Sent:
    """A message that a client means to have answered, and what it knows of it."""

    person: Person
    body: dict[str, Any]
    ids: Ids | None = None
    answer: dict[str, Any] | None = None


@dataclass
class Reply:
    """What one request came to; without a status the connection broke before there was one."""

    status: int | None = None
    code: str | None = None
    answer: dict[str, Any] | None = None
    text: str = ""
    """What the deltas of a stream said."""
    last_event_id: str = ""
    events: list[str] = field(default_factory=list)
    sent: Sent | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the whole answer came."""
        return self.answer is not None


class Witness:
    """A client that sends as many people and remembers every reply."""

    def __init__(self, stack: FaultStack, world: World, documented: Documented, rng: random.Random) -> None:
        self.stack = stack
        self.world = world
        self.rng = rng
        self.sent: dict[tuple[UUID, str], Sent] = {}
        self.errors: list[tuple[int | None, str]] = []
        self._documented = documented
        self._problems: list[str] = []
        self._numbers = count(1)
        self._http: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """The client's connections."""
        assert self._http is not None
        return self._http

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Witness"]:
        """Hold connections until the end."""
        timeout = aiohttp.ClientTimeout(_REQUEST_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(self.stack.url, connector=connector, timeout=timeout) as self._http:
            yield self

    async def send(
        self, person: Person, text: str = "Hello", *, headers: dict[str, str] | None = None, **fields: Any
    ) -> Reply:
        """Send a message and follow it to its end; `stream` is at random unless given."""
        fields.setdefault("stream", self.rng.random() < 0.5)
        fields.setdefault("client_message_id", f"m{next(self._numbers)}-{uuid4().hex[:8]}")
        body = {"text": text, **fields}
        sent = self.sent.setdefault((person.user_id, body["client_message_id"]), Sent(person, body))
        return await self.send_again(sent, body, headers)

    async def send_again(
        self,
        sent: Sent,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        *,
        at: str = "",
    ) -> Reply:
        """Send a message once more as it was, or with another body under its id, or to another product."""
        reply = Reply(sent=sent)
        options = {"json": body or sent.body, "headers": headers or {}}
        with suppress(*BROKEN):
            async with self._request("POST", f"{at}/v1/chat", sent.person, **options) as response:
                await self._read("sendMessage", response, reply, sent)
        return reply

    async def post_raw(self, person: Person, body: bytes, headers: dict[str, str]) -> Reply:
        """Send any bytes as a message."""
        sent = Sent(person, {})
        reply = Reply(sent=sent)
        with suppress(*BROKEN):
            async with self._request("POST", "/v1/chat", person, data=io.BytesIO(body), headers=headers) as response:
                await self._read("sendMessage", response, reply, sent)
        return reply

    async def follow(
        self, sent: Sent, after: str = "", *, until_text: int | None = None, restart: bool = False
    ) -> Reply:
        """Read an answer's events after one of them; disconnect after so many characters, if given."""
        assert sent.ids is not None
        reply = Reply(sent=sent)
        headers = {"Last-Event-ID": after} if after else {}
        path = f"/v1/chat/{sent.ids.assistant_message_id}/events{'?restart=true' if restart else ''}"
        with suppress(*BROKEN):
            async with self._request("GET", path, sent.person, headers=headers) as response:
                await self._read("followAnswer", response, reply, sent, until_text=until_text)
        return reply

    async def stop(self, sent: Sent) -> Reply:
        """Stop an answer."""
        assert sent.ids is not None
        reply = Reply(sent=sent)
        path = f"/v1/chat/{sent.ids.assistant_message_id}/stop"
        with suppress(*BROKEN):
            async with self._request("POST", path, sent.person) as response:
                await self._read("stopAnswer", response, reply, sent)
        return reply

    async def balance(self, person: Person) -> dict[str, Decimal] | None:
        """A company's balance, or None while the product cannot report it."""
        with suppress(*BROKEN):
            async with self._request("GET", "/v1/balance", person) as response:
                body = await response.json()
                if response.status == 200:
                    return {name: Decimal(value) for name, value in body.items()}
                self._note_error("getBalance", response.status, body)
        return None

    async def answer_all(self, *, within_seconds: float = TERMINAL_SECONDS) -> None:
        """Send every message again until it is answered: under the ids that it was acknowledged with."""
        await asyncio.gather(*[self.answer(sent, within_seconds=within_seconds) for sent in list(self.sent.values())])

    async def answer(self, sent: Sent, *, within_seconds: float = TERMINAL_SECONDS) -> dict[str, Any]:
        """Send a message until it is answered."""
        deadline = time.monotonic() + within_seconds
        while not (reply := await self.send_again(sent)).is_answered:
            assert time.monotonic() < deadline, f"not answered in {within_seconds} s: {reply}"
            await asyncio.sleep(_RETRY_SECONDS)
        assert reply.answer is not None
        return reply.answer

    async def check(self) -> None:
        """Assert what must hold once everything is healed."""
        await self.until_all_ended()
        await self._check_acknowledged()
        assert [str(violation) for violation in await verify_ledger(self.world.database)] == []
        await self.world.check_books()
        assert await self.world.rows("SELECT * FROM holds WHERE state = 'live'") == []
        assert await self.world.rows("SELECT * FROM accounts WHERE balance_credits < 0 OR held_credits <> 0") == []
        await self._check_upstream()
        assert self._problems == [], "\n".join(self._problems)

    async def until_all_ended(self) -> None:
        """Wait until no answer is being written."""
        await until(self._all_terminal, timeout_seconds=TERMINAL_SECONDS)

    async def _all_terminal(self) -> bool:
        live = "SELECT count(*) AS n FROM messages WHERE status IN ('pending', 'streaming')"
        number: int = (await self.world.row(live))["n"]
        return number == 0

    async def _check_acknowledged(self) -> None:
        """Every acknowledgement is in the database: the message, and the very answer and charge that the client saw."""
        acknowledged = {sent.ids.assistant_message_id: sent for sent in self.sent.values() if sent.ids is not None}
        stored = await self.world.rows(
            "SELECT messages.id, status, text, reply_to, -amount_credits AS charge FROM messages "
            "LEFT JOIN ledger ON ledger.message_id = reply_to WHERE messages.id = ANY($1::uuid[])",
            list(acknowledged),
        )
        assert len(stored) == len(acknowledged), "an acknowledged message is lost"
        for row in stored:
            sent = acknowledged[str(row["id"])]
            assert sent.ids is not None
            assert str(row["reply_to"]) == sent.ids.user_message_id
            if sent.answer is not None:
                told = (sent.answer["status"], sent.answer["text"], Decimal(sent.answer["charge_credits"]))
                assert told == (row["status"], row["text"], row["charge"]), "an answer was told that is not stored"

    async def _check_upstream(self) -> None:
        """Every call that got to OpenAI came through the gateway, and answers a call that product_api signed."""
        seen = len(await self.stack.calls_seen_by_upstream())
        passed = self.stack.upstream_request_ids
        assert seen <= len(passed), f"{seen} calls at the upstream, {len(passed)} on the line to it"
        assert set(passed) <= self.stack.verified_request_ids, "a call without a valid signature got through"

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, person: Person, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {
            "Authorization": f"Bearer {person.api_key}",
            "X-Request-ID": uuid4().hex,
            **options.pop("headers", {}),
        }
        async with self.http.request(method, path, headers=headers, **options) as response:
            yield response

    async def _read(
        self,
        operation_id: str,
        response: aiohttp.ClientResponse,
        reply: Reply,
        sent: Sent,
        *,
        until_text: int | None = None,
    ) -> None:
        if response.status == 204:
            reply.status = response.status
        elif response.status != 200:
            body = await response.json(content_type=None)
            reply.status, reply.code = response.status, self._note_error(operation_id, response.status, body)
        elif response.content_type == "text/event-stream":
            reply.status = response.status
            decoder = Decoder(max_event_bytes=_MAX_EVENT_BYTES)
            async for chunk in response.content.iter_any():
                for event in decoder.feed(chunk):
                    self._hear(event, reply, sent)
                if until_text is not None and len(reply.text) >= until_text:
                    return
        else:
            answer = json.loads(await response.read())
            reply.status = response.status
            self._acknowledge(sent, answer)
            sent.answer = reply.answer = answer

    def _hear(self, event: Event, reply: Reply, sent: Sent) -> None:
        data = json.loads(event.data)
        reply.events.append(event.name)
        reply.last_event_id = event.id or ""
        match event.name:
            case "start":
                self._acknowledge(sent, data)
            case "delta":
                reply.text += data["text"]
            case "restart":
                reply.text = ""
            case "final":
                sent.answer = reply.answer = data
            case "error":
                # A reader of the answer gets its failure by the codes that sending it documents.
                reply.code = self._note_error("sendMessage", None, data)

    def _acknowledge(self, sent: Sent, data: dict[str, Any]) -> None:
        ids = Ids.of(data)
        if sent.ids not in {None, ids}:
            self._problems.append(f"{sent.body['client_message_id']} had {sent.ids} and now has {ids}")
        sent.ids = ids

    def _note_error(self, operation_id: str, status: int | None, body: Any) -> str:
        if problem := self._documented.problem(operation_id, status, body):
            self._problems.append(problem)
            return ""
        code: str = body["detail"]["code"]
        self.errors.append((status, code))
        return code
