"""gateway_api on a socket, and a client that signs its requests."""

import json
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from b2b_chat.contract.signing import sign
from b2b_chat.contract.sse import Decoder, Event
from b2b_chat.gateway.app import create_app
from b2b_chat.gateway.settings import GatewaySettings
from b2b_chat.kit.settings import Secret
from support.gateway.chat_bodies import chat_request
from support.http.serving import serve

SECRET: Final = "Qm7uW2xR9tLz4KpB8vNc1YsD6fGh3JkE"
API_KEY: Final = "sk-test-Zr8Lq2Vn5Xc9Bw4Ty7Ku3Mp6"
UNUSED_URL: Final = "http://127.0.0.1:9/v1"
"""For tests that call no OpenAI."""


def gateway_settings(**changes: Any) -> GatewaySettings:
    """Settings that fail fast and retry at once."""
    defaults: dict[str, Any] = {
        "app_env": "test",
        "gateway_shared_secret": Secret(SECRET),
        "openai_api_key": Secret(API_KEY),
        "openai_base_url": UNUSED_URL,
        "upstream_connect_timeout_seconds": 5.0,
        "upstream_first_token_timeout_seconds": 5.0,
        "upstream_silence_timeout_seconds": 5.0,
        "upstream_total_timeout_seconds": 10.0,
        "upstream_max_attempts": 1,
        "upstream_retry_base_seconds": 0.0,
        "stream_flush_interval_ms": 0,
    }
    return GatewaySettings(**(defaults | changes))


class Signed(httpx.Auth):
    """Signs each request as it will be sent."""

    requires_request_body = True

    def __init__(self, secret: str = SECRET, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        target = request.url.raw_path.decode("ascii")
        headers = sign(self._secret, request.method, target, request.content, unix_seconds=int(self._clock()))
        request.headers.update(headers)
        yield request


class Gateway:
    """Speaks to one gateway."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def post(self, prompt: str = "Hi", *, stream: bool = False, **changes: Any) -> httpx.Response:
        """Ask, and wait for the whole answer."""
        body = json.dumps(chat_request(prompt, stream=stream, **changes))
        return await self.http.post("/v1/chat", content=body, headers={"Content-Type": "application/json"})

    @asynccontextmanager
    async def opened(self, prompt: str = "Hi", **changes: Any) -> AsyncIterator[httpx.Response]:
        """Ask for a stream, and read it as it comes."""
        body = json.dumps(chat_request(prompt, stream=True, **changes))
        async with self.http.stream(
            "POST", "/v1/chat", content=body, headers={"Content-Type": "application/json"}
        ) as response:
            yield response


@asynccontextmanager
async def gateway(settings: GatewaySettings, **parts: Any) -> AsyncIterator[Gateway]:
    """Serve a gateway; `parts` go to `create_app`."""
    async with (
        serve(create_app(settings, **parts)) as url,
        httpx.AsyncClient(base_url=url, auth=Signed(), timeout=20) as http,
    ):
        yield Gateway(url, http)


def events_of(response: httpx.Response) -> list[Event]:
    """The events of a stream that was read to its end."""
    return Decoder(max_event_bytes=1_000_000).feed(response.content)


def failure_of(response: httpx.Response) -> dict[str, Any]:
    """What a response says went wrong: its error body, or that of its last event."""
    if response.status_code == 200:
        last = events_of(response)[-1]
        assert last.name == "error"
        body = json.loads(last.data)
    else:
        body = response.json()
    error: dict[str, Any] = body["error"]
    return error
