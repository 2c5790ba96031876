"""Calls of the client beside each other: slots, cancellation, and its end."""

import asyncio
import random
from contextlib import closing, suppress
from typing import Any

import pytest
import trustme

from b2b_chat.kit.http.errors import AnswerBroken, HttpError, NoAnswer
from support.http.peer import (
    FINE,
    OK,
    Call,
    becomes,
    call,
    client_of,
    fine,
    free_slots,
    never,
    place,
    sending,
    tls_of,
    url_of,
)


class TestSlots:
    async def test_more_calls_than_connections_wait(self) -> None:
        at_once = most = 0

        async def slow(sent: Call) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.002)
            at_once -= 1
            await sent.send(FINE)

        async with place(slow) as served:
            with closing(client_of(url_of(served), max_connections=3)) as http:
                assert await asyncio.gather(*[call(http) for _ in range(30)]) == [(200, b"fine")] * 30
                assert free_slots(http) == 3
            assert (most, served.connections) == (3, 3)

    async def test_a_cancelled_wait_takes_no_slot(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                held = await http.send("GET", "/", {})
                waiting = [asyncio.create_task(call(http)) for _ in range(10)]
                await asyncio.sleep(0)
                for task in waiting[::2]:
                    task.cancel()
                await asyncio.sleep(0)
                held.close()
                waiting[1].cancel()  # to whom the slot was just given
                await asyncio.wait(waiting)
                assert [task.cancelled() for task in waiting] == [True, True] + [True, False] * 4
                assert free_slots(http) == 1

    @pytest.mark.parametrize("close_first", [True, False])
    async def test_a_call_that_fails_gives_its_slot_back(self, *, close_first: bool) -> None:
        async with place(sending(OK, then=Call.hang_up) if close_first else sending(b"garbage")) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                for _ in range(5):
                    with pytest.raises(HttpError):
                        await call(http)
                assert (free_slots(http), http._busy, http._idle) == (1, set(), [])

    async def test_cancelled_calls_leave_nothing_behind(self) -> None:
        await self._cancel_many()

    async def test_cancelled_calls_over_tls_leave_nothing_behind(self, authority: trustme.CA) -> None:
        await self._cancel_many(authority, calls=600)

    async def _cancel_many(self, authority: trustme.CA | None = None, calls: int = 3_000) -> None:
        """Cancel calls at random moments, from before they have a slot until they have read half of their answer."""
        seed = random.randrange(2**32)
        print(f"seed {seed}")  # noqa: T201 - shown when the test fails
        rng = random.Random(seed)

        async def answer(sent: Call) -> None:
            for part in (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nfine\r\n", b"0\r\n\r\n"):
                if rng.random() < 0.3:
                    await asyncio.sleep(rng.random() * 0.002)
                await sent.send(part)
            if rng.random() < 0.05:
                sent.hang_up()

        before = len(asyncio.all_tasks())
        options = tls_of(authority, "localhost") if authority else (None, None)
        async with place(answer, tls=options[0]) as served:
            url = url_of(served, scheme="https" if authority else "http", host="localhost")
            with closing(client_of(url, max_connections=8, tls=options[1])) as http:
                running: set[asyncio.Task[Any]] = set()
                for _ in range(calls):
                    task = asyncio.create_task(call(http, body=b"x" * rng.randrange(100)))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    asyncio.get_running_loop().call_later(rng.random() * 0.006, task.cancel)
                    if len(running) > 24:
                        await asyncio.sleep(rng.random() * 0.002)
                while running:
                    await asyncio.wait(running)
                assert free_slots(http) == 8
                assert not http._busy
                assert len(http._idle) <= 8
                kept = sum(connection.is_usable for connection in http._idle)
                await becomes(lambda: len(served.open) <= kept)
                for _ in range(20):
                    with suppress(NoAnswer):
                        assert await call(http) == (200, b"fine")
                assert await asyncio.gather(*[call(http) for _ in range(20)], return_exceptions=True)
            await becomes(lambda: not served.open)
        await becomes(lambda: len(asyncio.all_tasks()) <= before)


class TestClosing:
    async def test_it_ends_idle_connections(self) -> None:
        async with place(fine) as served:
            http = client_of(url_of(served))
            await asyncio.gather(*[call(http) for _ in range(3)])
            assert len(served.open) == 3
            http.close()
            await becomes(lambda: not served.open)

    @pytest.mark.parametrize("head", [b"", OK + b"\r\n", OK + b"Content-Length: 9\r\n\r\n"])
    async def test_it_ends_calls_mid_answer(self, head: bytes) -> None:
        async with place(sending(head, b"half" if head else b"")) as served:
            http = client_of(url_of(served))
            calling = asyncio.create_task(call(http))
            await becomes(lambda: served.calls and http._busy)
            await asyncio.sleep(0.02)
            http.close()
            with pytest.raises(AnswerBroken if head else NoAnswer):
                await calling
            assert free_slots(http) == 4
            await becomes(lambda: not served.open)

    async def test_it_ends_calls_that_wait_or_connect_too(self) -> None:
        async with place(never) as served:
            http = client_of(url_of(served, host="localhost"), max_connections=1)
            calls = [asyncio.create_task(call(http)) for _ in range(3)]
            await asyncio.sleep(0)
            http.close()
            for calling in calls:
                with pytest.raises(NoAnswer):
                    await calling
            with pytest.raises(NoAnswer):
                await call(http)
            assert (free_slots(http), http._busy, http._idle) == (1, set(), [])
            await becomes(lambda: not served.open)

    async def test_it_can_be_done_twice_and_before_any_call(self) -> None:
        http = client_of("http://127.0.0.1:1")
        http.close()
        http.close()
