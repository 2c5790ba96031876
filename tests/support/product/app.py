"""product_api on a socket, and a client that speaks to it as a person's program does."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import psutil
from msgspec import structs

from b2b_chat.kit.settings import load
from b2b_chat.product.app import create_app
from b2b_chat.product.configuration import check
from b2b_chat.product.openai_errors import is_openai_path
from b2b_chat.product.settings import ProductSettings
from support.database.world import Person
from support.http.serving import free_port, serve
from support.processes.commands import clean_environ, started
from support.product.completions import openai_error_of

SHARED_SECRET: Final = "5bd41c93e7f04c1f8aa6f7df2c2f3a90"
_SSL_CONTEXT: Final = ssl.create_default_context()  # made once: it costs 20 ms, and nothing here is encrypted


class Event(NamedTuple):
    """One server-sent event."""

    name: str
    data: dict[str, Any]
    id: str

    @property
    def common(self) -> "Event":
        """An `error` as all of its readers get it: without the id of the request, which is each reader's own."""
        detail = {name: value for name, value in self.data["detail"].items() if name != "request_id"}
        return self._replace(data={"detail": detail})


class Client:
    """Sends messages as one person; `client_message_id`s number themselves."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self._ids = count(1)

    def message(self, text: str = "Hello", **fields: Any) -> dict[str, Any]:
        """The body of a send."""
        return {"client_message_id": f"message-{next(self._ids)}", "text": text, **fields}

    async def send(self, text: str = "Hello", **fields: Any) -> httpx.Response:
        """Send a message and wait for the whole answer."""
        return await self.http.post("/v1/chat", json=self.message(text, **fields))

    async def ask(self, text: str = "Hello", **fields: Any) -> dict[str, Any]:
        """Send a message that must be answered."""
        response = await self.send(text, **fields)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    @asynccontextmanager
    async def streaming(self, text: str = "Hello", **fields: Any) -> AsyncIterator[AsyncIterator[Event]]:
        """Send a message and read the events as they come; leaving the block hangs up."""
        body = self.message(text, stream=True, **fields)
        async with self.http.stream("POST", "/v1/chat", json=body) as response:
            assert response.status_code == 200, await response.aread()
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            yield read_events(response)

    async def stream(self, text: str = "Hello", **fields: Any) -> list[Event]:
        """All events of an answer."""
        async with self.streaming(text, **fields) as events:
            return [event async for event in events]


async def read_events(response: httpx.Response) -> AsyncIterator[Event]:
    """The events of a stream, comments left out."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields["id"])
            fields = {}


@asynccontextmanager
async def following(
    client: Client, answer_id: str, after: str | None = None, *, restart: bool = False
) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of an answer, from its start or after one of them, as they come; leaving the block hangs up."""
    headers = {} if after is None else {"Last-Event-ID": after}
    path = f"/v1/chat/{answer_id}/events{'?restart=true' if restart else ''}"
    async with client.http.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        yield read_events(response)


async def follow(client: Client, answer_id: str, after: str | None = None, *, restart: bool = False) -> list[Event]:
    """All of them."""
    async with following(client, answer_id, after, restart=restart) as events:
        return [event async for event in events]


def answer_of(failed: httpx.Response) -> str:
    """The id of the answer that a response says has failed."""
    return failed.headers["content-location"].split("/")[3]


def text_of(events: list[Event]) -> str:
    """What the deltas say."""
    return "".join(event.data["text"] for event in events if event.name == "delta")


@asynccontextmanager
async def served_product(database_url: str, gateway_url: str, **changes: object) -> AsyncIterator[str]:
    """The base URL of a product_api; `changes` are settings by field, which may go below what is sensible."""
    async with serve(create_app(product_settings(database_url, gateway_url, **changes))) as url:
        yield url


def product_settings(
    database_url: str = "postgresql://unused", gateway_url: str = "http://127.0.0.1:1", **changes: object
) -> ProductSettings:
    """The settings of a product_api; `changes` are by field, and may go below what is sensible."""
    settings = load(ProductSettings, environ(database_url, gateway_url), check=check)
    return structs.replace(settings, **changes)


@asynccontextmanager
async def product_process(
    home: Path, database_url: str, gateway_url: str, **variables: str
) -> AsyncIterator[tuple[str, subprocess.Popen[str]]]:
    """The base URL of a product_api that runs as a process of its own, and the process; it is killed at the end."""
    settings = environ(database_url, gateway_url, **{"PRODUCT_PORT": str(free_port()), **variables})
    with started("product", environ=clean_environ(home, **settings)) as process:
        try:
            url = f"http://127.0.0.1:{settings['PRODUCT_PORT']}"
            await until_healthy(url)
            yield url, process
        finally:
            kill_all_of(process)


def kill_all_of(process: subprocess.Popen[str]) -> None:
    """Kill a product_api, its workers too: these would go on without their supervisor."""
    with suppress(psutil.NoSuchProcess):
        supervisor = psutil.Process(process.pid)
        for each in (supervisor, *supervisor.children(recursive=True)):
            each.kill()


async def until_healthy(url: str, *, timeout_seconds: float = 30) -> None:
    """Return once an app answers: Granian listens before its worker has started, and loses a SIGTERM until then."""
    async with asyncio.timeout(timeout_seconds), httpx.AsyncClient(verify=_SSL_CONTEXT) as http:
        while True:
            try:
                await http.get(f"{url}/health")
            except httpx.TransportError:
                await asyncio.sleep(0.02)
            else:
                return


def environ(database_url: str, gateway_url: str, **variables: str) -> dict[str, str]:
    """The environment of a product_api."""
    return {
        "APP_ENV": "test",
        "DATABASE_URL": database_url,
        "GATEWAY_URL": gateway_url,
        "GATEWAY_SHARED_SECRET": SHARED_SECRET,
        "SESSION_SECRET": "6e0c7a52d9f14b3c8b1f5a90c4d72e18",
        "AUTH_TOKEN_SECRET": "a83f1c6d07e24f9bb5c2d94e60718f3a",
        "INVITE_TOKEN_SECRET": "d1975be80c3a4f62a7e4f0b3952c6d81",
        "SHUTDOWN_GRACE_SECONDS": "0",
        # All tests come from one address; a test of the limits sets them.
        **dict.fromkeys(("CHAT_RPM_PER_COMPANY", "CHAT_RPM_PER_USER", "CHAT_RPM_PER_IP"), "1000000"),
        "CHAT_OPEN_ANSWERS_PER_USER": "10000",
        "CHAT_USER_HOLD_PERCENT": "100",
        **variables,
    }


@asynccontextmanager
async def client_of(url: str, person: Person | None) -> AsyncIterator[Client]:
    """A client with this person's key, or with none."""
    headers = {} if person is None else {"Authorization": f"Bearer {person.api_key}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=30, verify=_SSL_CONTEXT) as http:
        yield Client(http)


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, once its body is seen to be of the form that is read where it was sent."""
    if is_openai_path(response.url.path):
        return openai_error_of(response)[:2]
    body = response.json()
    assert set(body) == {"detail"}, body
    detail = body["detail"]
    assert set(detail) - {"param"} == {"code", "message", "retryable", "request_id"}, body
    assert detail["message"]
    assert isinstance(detail["retryable"], bool)
    assert detail["request_id"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    return response.status_code, body["detail"]["code"]
