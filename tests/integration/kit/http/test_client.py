"""Calls to one server over sockets: kept connections, slots, and the client's end."""

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
    raw_place,
    sending,
    tls_of,
    url_of,
)


class TestRequest:
    async def test_it_goes_out_as_it_was_given(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), headers={"Authorization": "Bearer x"})) as http:
                assert await call(http, "/v1/chat?a=b%20c", {"X-Id": "1"}, b"\x00body") == (200, b"fine")
            (sent,) = served.calls
            assert sent.line == "POST /v1/chat?a=b%20c HTTP/1.1"
            assert sent.headers == {
                "host": f"127.0.0.1:{served.port}",
                "accept-encoding": "identity",
                "authorization": "bearer x",
                "x-id": "1",
                "content-length": "5",
            }
            assert sent.body == b"\x00body"

    @pytest.mark.parametrize("url_host", ["localhost", "LOCALHOST"])
    async def test_the_host_is_named_as_its_url_names_it(self, url_host: str) -> None:
        async with place(fine) as served:
            with closing(client_of(f"http://who:secret@{url_host}:{served.port}/path")) as http:
                assert await call(http) == (200, b"fine")
            assert f"Host: {url_host}:{served.port}\r\n".encode() in served.calls[0].raw_head
            assert b"secret" not in served.calls[0].raw_head

    async def test_a_host_can_be_an_ipv6_address(self) -> None:
        async with place(fine, host="::1") as served:
            with closing(client_of(url_of(served, host="[::1]"))) as http:
                assert await call(http) == (200, b"fine")
            assert served.calls[0].headers["host"] == f"[::1]:{served.port}"

    @pytest.mark.parametrize(
        "headers",
        [
            {"X": "1\r\nY: 2"},
            {"X": "1\n"},
            {"X": "\r"},
            {"X\r\nY": "1"},
            {"X": "1\r\n\r\nGET / HTTP/1.1"},
            {"X": "\u20ac"},
        ],
    )
    async def test_a_header_that_would_be_two_is_not_sent(self, headers: dict[str, str]) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                for _ in range(2):
                    with pytest.raises(ValueError, match=r"line's end|latin-1"):
                        await call(http, headers=headers)
                assert await call(http) == (200, b"fine")
            assert len(served.calls) == 1

    def test_a_header_of_every_call_that_would_be_two_is_refused(self) -> None:
        with pytest.raises(ValueError, match="line's end"):
            client_of("http://127.0.0.1", headers={"X": "1\r\nY: 2"})

    @pytest.mark.parametrize(
        "target", ["/ HTTP/1.1\r\nX: 1\r\n\r\n", "/a b", "/a\tb", "/a\n", "/\x00", "/\xe9", "/\u20ac", "/\x7f"]
    )
    async def test_a_target_that_would_end_its_line_is_not_sent(self, target: str) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                with pytest.raises(ValueError, match="does not fit"):
                    await call(http, target)
                assert await call(http) == (200, b"fine")
            assert len(served.calls) == 1


class TestKeeping:
    async def test_calls_one_after_the_other_share_a_connection(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served))) as http:
                for _ in range(5):
                    assert await call(http, body=b"x") == (200, b"fine")
            assert served.connections == 1

    async def test_calls_at_once_have_one_each(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served))) as http:
                assert await asyncio.gather(*[call(http) for _ in range(3)]) == [(200, b"fine")] * 3
                assert served.connections == 3
                await call(http)
            assert served.connections == 3

    async def test_what_was_idle_for_long_is_not_used(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_idle_seconds=0)) as http:
                await call(http)
                await call(http)
                assert [sent.connection for sent in served.calls] == [1, 2]

    async def test_the_connections_of_a_burst_are_closed_when_their_time_is_over(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=8, max_idle_seconds=0.2)) as http:
                await asyncio.gather(*[call(http) for _ in range(8)])
                assert len(served.open) == 8
                await becomes(lambda: not served.open)
                assert http._idle == []
                assert await call(http) == (200, b"fine")  # and the client does not take their end for its own
                await becomes(lambda: not served.open)

    async def test_a_connection_in_use_outlives_the_idle_ones(self) -> None:
        may_end = asyncio.Event()

        async def answer(sent: Call) -> None:
            await sent.send(OK + b"Content-Length: 4\r\n\r\n")
            if sent.line.startswith("POST /slow"):
                await may_end.wait()
            await sent.send(b"fine")

        async with place(answer) as served:
            with closing(client_of(url_of(served), max_idle_seconds=0.1)) as http:
                slow = asyncio.create_task(call(http, "/slow"))
                await asyncio.gather(call(http), call(http))
                await becomes(lambda: len(served.open) == 1)
                may_end.set()
                assert await slow == (200, b"fine")

    async def test_a_closed_client_reaps_nothing_more(self) -> None:
        async with place(fine) as served:
            http = client_of(url_of(served))
            await call(http)
            reaping = http._reaping
            assert reaping is not None
            http.close()
            assert reaping.cancelled()

    async def test_what_the_place_has_closed_is_not_used(self) -> None:
        async with place(sending(FINE, then=Call.hang_up)) as served:
            with closing(client_of(url_of(served))) as http:
                await call(http)
                await becomes(lambda: not http._idle or not http._idle[0].is_usable)
                await call(http)
            assert [sent.connection for sent in served.calls] == [1, 2]

    async def test_what_the_place_closes_as_it_is_used_gives_no_answer(self) -> None:
        async def first_only(sent: Call) -> None:
            if sent.connection == 1 and len(served.calls) > 1:
                sent.reset()
            else:
                await sent.send(FINE)

        async with place(first_only) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                await call(http)
                with pytest.raises(NoAnswer):
                    await call(http)
                assert await call(http) == (200, b"fine")
            assert [sent.connection for sent in served.calls] == [1, 1, 2]

    async def test_an_end_that_was_not_seen_yet_gives_no_answer(self) -> None:
        async with place(fine) as served:
            with closing(client_of(url_of(served), max_connections=1)) as http:
                await call(http)
                served.calls[0].reset()  # which the loop reports only after this call was written
                with pytest.raises(NoAnswer):
                    await call(http)
                assert await call(http) == (200, b"fine")

    @pytest.mark.parametrize("behind", [OK + b"Content-Length: 4\r\n\r\nevil", b"garbage", b"\r\n"])
    async def test_what_comes_behind_an_answer_is_not_the_next(self, behind: bytes) -> None:
        late = asyncio.Event()

        async def answer(sent: Call) -> None:
            await sent.send(FINE)
            if sent.connection == 1:
                await late.wait()
                await sent.send(behind)

        async with place(answer) as served:
            with closing(client_of(url_of(served))) as http:
                assert await call(http) == (200, b"fine")
                late.set()
                await becomes(lambda: not http._idle[0].is_usable)
                assert await call(http) == (200, b"fine")
            assert served.connections == 2

    async def test_an_answer_before_the_body_was_taken_is_heard(self) -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            while await reader.read(65_536):
                pass

        async with raw_place(refuse) as port:
            with closing(client_of(f"http://127.0.0.1:{port}")) as http:
                assert await call(http, body=b"x" * 30_000_000) == (413, b"")
                assert not http._busy


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
