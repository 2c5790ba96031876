"""The simulated OpenAI on a socket, and a plain HTTP client that shows its bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from b2b_chat.sandbox.openai_simulator import SimulatorSettings, create_app
from support.http.serving import serve

CHAT_PATH: Final = "/v1/chat/completions"


class Wire:
    """Speaks to one simulator, with its directives in the header."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    def post(self, directives: str = "", *, stream: bool = False, prompt: str = "Hi", **body: Any) -> Any:
        """The request of a chat, to be used with `async with`."""
        asked: dict[str, Any] = {"model": "gpt-5.2", "messages": [{"role": "user", "content": prompt}], **body}
        if stream:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return self.http.post(CHAT_PATH, json=asked, headers={"X-Simulate": directives})

    async def seen(self) -> list[dict[str, Any]]:
        """What the simulator has observed, oldest first."""
        async with self.http.get("/simulator/requests") as response:
            shown: list[dict[str, Any]] = await response.json()
            return shown

    async def forget(self) -> None:
        """Empty what it has observed."""
        async with self.http.delete("/simulator/requests") as response:
            assert response.status == 200


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[Wire]:
    """A client of the simulator at this address."""
    async with aiohttp.ClientSession(url, headers={"Authorization": "Bearer sk-any"}) as http:
        yield Wire(url, http)


@asynccontextmanager
async def simulated_openai(settings: SimulatorSettings | None = None) -> AsyncIterator[Wire]:
    """Serve a simulator, with default settings where none are given."""
    async with serve(create_app(settings or SimulatorSettings())) as url, wired(url) as wire:
        yield wire
