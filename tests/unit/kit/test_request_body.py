import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from litestar.types import Receive, Scope, Send

from b2b_chat.kit import request_body
from b2b_chat.kit.errors import BodyTooLarge
from b2b_chat.kit.request_body import BrokenBody, UnreadBodies, read_body
from support.http.asgi import Exchange

MEBIBYTE = 1024 * 1024


def parts(*bodies: bytes, ends: bool = True) -> list[dict[str, Any]]:
    return [
        {"type": "http.request", "body": body, "more_body": not ends or number < len(bodies)}
        for number, body in enumerate(bodies, 1)
    ]


async def read(messages: Iterable[dict[str, Any]], *, announced_bytes: int | None = None, max_bytes: int = 8) -> bytes:
    exchange = Exchange("POST", "/", messages=messages)
    return await read_body(exchange.receive, announced_bytes=announced_bytes, max_bytes=max_bytes)


class TestReading:
    @pytest.mark.parametrize("bodies", [[b""], [b"12345678"], [b"1234", b"5678"], [b"", b"1", b"", b"2"]])
    async def test_the_pieces_make_the_whole(self, bodies: list[bytes]) -> None:
        assert await read(parts(*bodies)) == b"".join(bodies)

    async def test_what_is_announced_too_large_is_not_read(self) -> None:
        messages = iter(parts(b"123456789"))
        with pytest.raises(BodyTooLarge):
            await read(messages, announced_bytes=9)
        assert next(messages)["body"] == b"123456789"

    @pytest.mark.parametrize("bodies", [[b"123456789"], [b"1234", b"56789"], [b"12345678", b"9"]])
    async def test_what_turns_out_too_large_is_refused(self, bodies: list[bytes]) -> None:
        with pytest.raises(BodyTooLarge):
            await read(parts(*bodies))

    @pytest.mark.parametrize("bodies", [[], [b"1234"], [b"1", b"2", b"3"]])
    async def test_what_breaks_off_is_refused(self, bodies: list[bytes]) -> None:
        with pytest.raises(BrokenBody):
            await read(parts(*bodies, ends=False), announced_bytes=8)


class App:
    """Answers with a status, after so many messages of the body."""

    def __init__(self, status: int, *, reads: int = 0) -> None:
        self.status = status
        self.reads = reads

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(self.reads):
            await receive()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"said", "more_body": False})


CHUNKED = [(b"transfer-encoding", b"chunked")]


def sized(size: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", b"%d" % size)]


async def left_over(
    app: App, messages: Iterable[dict[str, Any]], headers: Iterable[tuple[bytes, bytes]] = CHUNKED
) -> int:
    """How many messages nobody has read when the response was sent."""
    waiting = iter(messages)
    exchange = await Exchange("POST", "/", headers, waiting).run(UnreadBodies(app))
    assert (exchange.status, exchange.body) == (app.status, b"said")
    return len(list(waiting))


class TestUnread:
    @pytest.mark.parametrize("status", [400, 401, 404, 413, 429, 500, 503])
    @pytest.mark.parametrize("reads", [0, 1, 2, 3])
    async def test_a_refusal_waits_for_the_rest(self, status: int, reads: int) -> None:
        assert await left_over(App(status, reads=reads), parts(b"1", b"2", b"3"), sized(3)) == 0
        assert await left_over(App(status, reads=reads), parts(b"1", b"2", b"3"), CHUNKED) == 0

    @pytest.mark.parametrize("status", [200, 202, 204, 303])
    async def test_any_other_response_does_not(self, status: int) -> None:
        assert await left_over(App(status), parts(b"1", b"2", b"3"), sized(3)) == 3

    async def test_a_request_without_a_body_is_not_waited_for(self) -> None:
        assert await left_over(App(404), parts(b"never comes"), []) == 1
        assert await left_over(App(404), parts(b"never comes"), sized(0)) == 1

    async def test_a_body_that_breaks_off_ends_the_wait(self) -> None:
        assert await left_over(App(413), parts(b"1", b"2", ends=False), sized(9)) == 0

    async def test_a_client_that_waits_to_be_invited_is_not(self) -> None:
        headers = [*sized(3), (b"expect", b"100-continue")]
        assert await left_over(App(413), parts(b"123"), headers) == 1
        assert await left_over(App(413, reads=1), parts(b"12", b"3"), headers) == 0

    async def test_the_rest_is_bounded(self) -> None:
        endless = parts(*[b"x" * MEBIBYTE] * 40)
        assert await left_over(App(413), endless, sized(40 * MEBIBYTE)) == 40
        assert 20 < await left_over(App(413), endless, CHUNKED) < 30

    @pytest.mark.parametrize("limit", ["_SILENCE_SECONDS", "_DISCARD_SECONDS"])
    async def test_the_wait_is_bounded(self, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
        monkeypatch.setattr(request_body, limit, 0.02)

        class Slow(Exchange):
            async def receive(self) -> Any:
                await asyncio.sleep(0.005 if limit == "_DISCARD_SECONDS" else 60)
                return {"type": "http.request", "body": b"x", "more_body": True}

        async with asyncio.timeout(10):
            exchange = await Slow("POST", "/", CHUNKED).run(UnreadBodies(App(413)))
        assert (exchange.status, exchange.body) == (413, b"said")

    async def test_other_protocols_pass(self) -> None:
        seen: list[Any] = []

        async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
            seen.append(scope)

        exchange = Exchange("GET", "/")
        exchange.scope["type"] = "lifespan"
        await exchange.run(UnreadBodies(app))
        assert seen == [exchange.scope]
