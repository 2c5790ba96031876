import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from litestar.types import Receive, Scope, Send

from b2b_chat.gateway.nonces import MemoryNonces, NonceStoreUnavailable
from b2b_chat.gateway.verification import Verification
from b2b_chat.kit.settings import Secret
from support.gateway.app import gateway_settings
from support.gateway.door import LET_IN, NOW, Door, signed
from support.gateway.signing_vectors import each_accepted, each_rejected, raw_headers
from support.http.asgi import Exchange, in_one_piece

OTHER_SECRET = "Hb5nT8eX3yUa0IwS7oPq2ZrC9jMd4VgL"


class TestVectors:
    @each_accepted
    async def test_accepts_once(self, row: dict[str, Any]) -> None:
        door = Door(now=row["now"], gateway_shared_secret=Secret(row["secret"]))
        call = (row["method"], row["target"], raw_headers(row), bytes.fromhex(row["body_hex"]))
        assert await door.knock(*call) == LET_IN
        assert await door.knock(*call) == (401, "replayed_nonce")
        assert door.inside.bodies == [bytes.fromhex(row["body_hex"])]

    @each_rejected
    async def test_rejects(self, row: dict[str, Any]) -> None:
        door = Door(now=row["now"], gateway_shared_secret=Secret(row["secret"]))
        answer = await door.knock(row["method"], row["target"], raw_headers(row), bytes.fromhex(row["body_hex"]))
        assert answer == (401, row["code"])
        assert door.inside.bodies == []


class TestOrder:
    async def test_headers_and_time_come_before_size(self) -> None:
        door = Door(gateway_max_body_bytes=1024)
        assert await door.knock("POST", "/v1/chat", [], b"a" * 1025) == (401, "missing_signature")
        assert await door.knock("POST", "/v1/chat", signed(now=NOW - 61), b"a" * 1025) == (401, "stale_timestamp")
        assert await door.knock("POST", "/v1/chat", signed(), b"a" * 1025) == (413, "body_too_large")

    async def test_headers_come_before_the_mac(self) -> None:
        headers = [(name, value) for name, value in signed(secret=OTHER_SECRET) if name != b"x-nonce"]
        assert await Door().knock("POST", "/v1/chat", headers, b"{}") == (401, "missing_signature")

    async def test_the_time_comes_before_the_mac(self) -> None:
        headers = signed(secret=OTHER_SECRET, now=NOW - 1000)
        assert await Door().knock("POST", "/v1/chat", headers, b"{}") == (401, "stale_timestamp")

    async def test_the_time_comes_before_the_nonce(self) -> None:
        door, headers = Door(), signed()
        assert await door.knock("POST", "/v1/chat", headers, b"{}") == LET_IN
        door.now += 61
        assert await door.knock("POST", "/v1/chat", headers, b"{}") == (401, "stale_timestamp")

    @pytest.mark.parametrize("spoil", [signed(secret=OTHER_SECRET), signed(now=NOW - 61), signed(body=b"[]")])
    async def test_only_what_is_right_uses_up_a_nonce(self, spoil: list[tuple[bytes, bytes]]) -> None:
        door, good = Door(), signed()
        nonce = dict(good)[b"x-nonce"]
        wrong = [(name, nonce if name == b"x-nonce" else value) for name, value in spoil]
        assert (await door.knock("POST", "/v1/chat", wrong, b"{}"))[0] == 401
        assert await door.knock("POST", "/v1/chat", good, b"{}") == LET_IN

    async def test_an_uncertain_store_refuses_everyone(self) -> None:
        door = Door(nonces=MemoryNonces(ttl_seconds=180, capacity=1))
        assert await door.knock("POST", "/v1/chat", signed(), b"{}") == LET_IN
        assert await door.knock("POST", "/v1/chat", signed(), b"{}") == (503, "nonce_store_unavailable")
        assert len(door.inside.bodies) == 1

    async def test_an_unreachable_store_refuses_everyone(self) -> None:
        class Down:
            async def claim(self, _nonce: bytes, _signed_at: int) -> bool:
                raise NonceStoreUnavailable

        assert await Door(nonces=Down()).knock("POST", "/v1/chat", signed(), b"{}") == (503, "nonce_store_unavailable")


class TestTime:
    @pytest.mark.parametrize("offset", [-60, -59.5, 0, 0.9, 60])
    async def test_within_the_skew(self, offset: float) -> None:
        assert await Door(now=NOW + offset).knock("POST", "/v1/chat", signed(), b"{}") == LET_IN

    @pytest.mark.parametrize("offset", [-60.001, 60.001, 10**9])
    async def test_outside_of_it(self, offset: float) -> None:
        answer = await Door(now=NOW + offset).knock("POST", "/v1/chat", signed(), b"{}")
        assert answer == (401, "stale_timestamp")

    async def test_the_skew_is_a_setting(self) -> None:
        door = Door(now=NOW + 6, gateway_clock_skew_seconds=5)
        assert await door.knock("POST", "/v1/chat", signed(), b"{}") == (401, "stale_timestamp")


class TestSecrets:
    async def test_the_previous_one_is_accepted_beside_the_current_one(self) -> None:
        door = Door(gateway_shared_secret_previous=Secret(OTHER_SECRET))
        assert await door.knock("POST", "/v1/chat", signed(), b"{}") == LET_IN
        assert await door.knock("POST", "/v1/chat", signed(secret=OTHER_SECRET), b"{}") == LET_IN

    async def test_a_secret_that_was_never_set_is_refused(self) -> None:
        door = Door(gateway_shared_secret_previous=Secret("Yk4vP9sF2hJ7mQ1xT6wB8nZ3cD5gL0rE"))
        answer = await door.knock("POST", "/v1/chat", signed(secret=OTHER_SECRET), b"{}")
        assert answer == (401, "invalid_signature")


class TestWhatIsSigned:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_health_is_open(self, method: str) -> None:
        door = Door()
        assert await door.knock(method, "/health", [], b"") == LET_IN

    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("POST", "/health"),
            ("OPTIONS", "/health"),
            ("GET", "/health/"),
            ("GET", "//health"),
            ("GET", "/Health"),
            ("GET", "/%68ealth"),
            ("GET", "/health/../v1/chat"),
            ("GET", "/v1/chat/../../health"),
            ("GET", "/"),
            ("GET", "/nowhere"),
            ("OPTIONS", "/v1/chat"),
            ("GET", "/internal/ping"),
            ("GET", "*"),
        ],
    )
    async def test_all_else_is_not(self, method: str, target: str) -> None:
        assert await Door().knock(method, target, [], b"") == (401, "missing_signature")

    async def test_an_empty_query_may_or_may_not_have_been_signed_with_its_question_mark(self) -> None:
        door = Door()
        for target in ("/v1/chat", "/v1/chat?"):
            assert await door.knock("POST", "/v1/chat", signed(target=target), b"{}") == LET_IN

    async def test_a_query_that_is_not_empty_must_have_been_signed(self) -> None:
        door = Door()
        for target in ("/v1/chat", "/v1/chat?", "/v1/chat?a=2", "/v1/chat?a=1&"):
            answer = await door.knock("POST", "/v1/chat?a=1", signed(target=target), b"{}")
            assert answer == (401, "invalid_signature")
        assert await door.knock("POST", "/v1/chat?a=1", signed(target="/v1/chat?a=1"), b"{}") == LET_IN

    async def test_the_lifespan_passes(self) -> None:
        seen: list[str] = []

        async def inside(scope: Scope, _receive: Receive, _send: Send) -> None:
            seen.append(scope["type"])

        app = Verification(
            inside, settings=gateway_settings(), nonces=MemoryNonces(ttl_seconds=1, capacity=1), clock=_now
        )
        exchange = Exchange("GET", "/")
        exchange.scope["type"] = "lifespan"
        await exchange.run(app)
        assert seen == ["lifespan"]


class TestBody:
    async def run(self, door: Door, messages: list[dict[str, Any]], *headers: tuple[bytes, bytes]) -> Exchange:
        body = b"".join(message.get("body", b"") for message in messages)
        return await Exchange("POST", "/v1/chat", [*signed(body=body), *headers], messages).run(door.app)

    async def test_may_come_in_pieces(self) -> None:
        door = Door()
        pieces = [b'{"a"', b"", b":1}"]
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        exchange = await self.run(door, [*messages, {"type": "http.request", "body": b"", "more_body": False}])
        assert exchange.status == 200
        assert door.inside.bodies == [b'{"a":1}']

    async def test_after_the_body_the_app_receives_the_servers_messages(self) -> None:
        door = Door()
        await self.run(door, in_one_piece(b"{}"))
        assert door.inside.next_message == {"type": "http.disconnect"}

    async def test_may_be_as_large_as_the_settings_say(self) -> None:
        exchange = await self.run(Door(gateway_max_body_bytes=1024), in_one_piece(b"a" * 1024))
        assert exchange.status == 200

    async def test_a_body_declared_too_large_is_not_read(self) -> None:
        door = Door(gateway_max_body_bytes=1024)
        read: list[str] = []

        def messages() -> Iterable[dict[str, Any]]:
            read.append("read")
            yield from in_one_piece(b"{}")

        headers = [*signed(), (b"content-length", b"1025")]
        exchange = await Exchange("POST", "/v1/chat", headers, messages()).run(door.app)
        assert (exchange.status, read) == (413, [])

    async def test_that_turns_out_too_large_is_not_read_to_its_end(self) -> None:
        door = Door(gateway_max_body_bytes=1024)
        chunk = {"type": "http.request", "body": b"a" * 600, "more_body": True}
        endless = iter(lambda: chunk, None)
        exchange = await Exchange("POST", "/v1/chat", signed(), endless).run(door.app)
        assert exchange.status == 413

    async def test_a_body_that_breaks_off_is_refused(self) -> None:
        door = Door()
        begun: dict[str, Any] = {"type": "http.request", "body": b"{", "more_body": True}
        messages = [begun, {"type": "http.disconnect"}]
        exchange = await self.run(door, messages)
        assert (exchange.status, json.loads(exchange.body)["error"]["code"]) == (400, "invalid_body")
        assert door.inside.bodies == []


async def test_a_refusal_has_the_agreed_shape_and_names_the_authentication() -> None:
    exchange = await Exchange("POST", "/v1/chat", [], in_one_piece(b"{}")).run(Door().app)
    headers = dict(exchange.sent[0]["headers"])
    assert headers[b"content-type"] == b"application/json"
    assert int(headers[b"content-length"]) == len(exchange.body)
    assert headers[b"www-authenticate"] == b"HMAC-SHA256"
    assert json.loads(exchange.body)["error"] == {
        "type": "authentication_error",
        "code": "missing_signature",
        "message": "X-Timestamp, X-Nonce and X-Signature are required.",
        "retryable": False,
    }


async def test_one_nonce_sent_many_times_at_once_is_let_in_once() -> None:
    door, headers = Door(), signed()
    answers = await asyncio.gather(*[door.knock("POST", "/v1/chat", headers, b"{}") for _ in range(100)])
    assert answers.count(LET_IN) == 1
    assert answers.count((401, "replayed_nonce")) == 99


def _now() -> datetime:
    return datetime.fromtimestamp(NOW, UTC)
