"""Which calls are retried, what each try sends, and the result of each response."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET

from b2b_chat_client.call import Call, Page, idempotency, path
from b2b_chat_client.calling import calling
from b2b_chat_client.configuration import configured
from b2b_chat_client.errors import (
    APIError,
    B2BChatError,
    ConnectionFailed,
    InsufficientCredits,
    NotConfigured,
    RateLimited,
    ServerFailed,
    Unauthenticated,
    UnexpectedResponse,
)
from b2b_chat_client.retrying import Retries
from b2b_chat_client.steps import Head, Open, ReadAll, resumed
from b2b_chat_client.types import Balance, Conversation, LedgerEntry

BALANCE = b'{"balance_credits": "12.500000", "held_credits": "0", "available_credits": "12.5"}'
NEVER_SENT = ConnectionFailed("refused")
NEVER_SENT.was_sent = False


def refused(status: int, code: str, *, retryable: bool) -> tuple[int, bytes]:
    return status, json.dumps({"detail": {"code": code, "message": "No.", "retryable": retryable}}).encode()


def played(call: Call[Any], *responses: tuple[int, bytes] | B2BChatError) -> tuple[Any, int]:
    """What a call returns or raises, and how many requests it took."""
    left = list(responses)
    flow = calling(call, Retries(2, Random(1), is_safe_to_repeat=call.is_safe_to_repeat))
    body = b""
    try:
        step = next(flow)
        while True:
            result: Any = None
            if isinstance(step, Open):
                response = left.pop(0)
                if isinstance(response, B2BChatError):
                    result = response
                else:
                    result, body = Head(response[0], {}), response[1]
            elif isinstance(step, ReadAll):
                result = body
            step = resumed(flow, result)
    except StopIteration as end:
        return end.value, len(responses) - len(left)
    except B2BChatError as error:
        return error, len(responses) - len(left)


GET = Call("GET", "/v1/balance", Balance)
CREATE = Call("POST", "/v1/company/invites", Balance, body={"email": "ann@example.test"})
KEYED = Call("POST", "/v1/company/invites", Balance, body={}, headers=idempotency(None))
AWAY = refused(503, "database_unavailable", retryable=True)
BUSY = refused(429, "rate_limited", retryable=True)


@pytest.mark.parametrize(
    ("call", "first", "attempts"),
    [
        (GET, ConnectionFailed("cut"), 2),
        (GET, AWAY, 2),
        (GET, BUSY, 2),
        (GET, (502, b"<html>"), 2),
        (GET, refused(404, "not_found", retryable=False), 1),
        (GET, refused(500, "internal_error", retryable=False), 1),
        (KEYED, ConnectionFailed("cut"), 2),
        (KEYED, AWAY, 2),
        (CREATE, ConnectionFailed("cut"), 1),
        (CREATE, AWAY, 1),
        (CREATE, BUSY, 2),
        (CREATE, NEVER_SENT, 2),
    ],
)
def test_what_is_tried_again(call: Call[Any], first: tuple[int, bytes] | B2BChatError, attempts: int) -> None:
    value, requests = played(call, first, (200, BALANCE))
    assert requests == attempts
    assert isinstance(value, Balance) == (attempts == 2)


def test_retries_are_bounded() -> None:
    value, requests = played(GET, *[AWAY] * 9)
    assert isinstance(value, ServerFailed)
    assert requests == 3


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", Unauthenticated),
        (402, "insufficient_credits", InsufficientCredits),
        (429, "rate_limited", RateLimited),
        (599, "unheard_of", ServerFailed),
    ],
)
def test_each_status_is_an_error_of_its_own(status: int, code: str, kind: type[APIError]) -> None:
    value, _ = played(GET, refused(status, code, retryable=False))
    assert type(value) is kind
    assert (value.status, value.code, value.message, value.retryable) == (status, code, "No.", False)


def test_money_is_exact_and_unknown_fields_and_values_are_no_error() -> None:
    value, _ = played(GET, (200, BALANCE.replace(b"{", b'{"new": 1, ', 1)))
    assert value.balance_credits == Decimal("12.5")
    entry = {"position": 1, "kind": "later_kind", "amount_credits": "-0.100000", "balance_after_credits": "1"}
    entry |= {"created_at": "2026-01-01T00:00:00Z"}
    call = Call("GET", "/v1/ledger", Page[LedgerEntry])
    page, _ = played(call, (200, json.dumps({"items": [entry], "next_cursor": None}).encode()))
    assert page.items[0].amount_credits == Decimal("-0.1")
    assert page.items[0].kind == "later_kind"
    assert page.items[0].message_id is None


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b"\xff"])
def test_another_servers_answer_is_unexpected(body: bytes) -> None:
    value, requests = played(GET, (200, body))
    assert isinstance(value, UnexpectedResponse)
    assert requests == 1


def test_values_are_written_as_the_api_reads_them() -> None:
    query = {"a": UUID(int=1), "b": date(2026, 1, 2), "c": datetime(2026, 1, 2, tzinfo=UTC), "d": True}
    request = Call("GET", path("/v1/x/{}/y", "a/b c"), Conversation, query={**query, "e": None, "f": UNSET}).request()
    assert request.path == (
        "/v1/x/a%2Fb%20c/y?a=00000000-0000-0000-0000-000000000001&b=2026-01-02&c=2026-01-02T00%3A00%3A00Z&d=true"
    )
    body = {"amount": Decimal("1.50"), "none": None, "unset": UNSET}
    assert Call("POST", "/v1/x", Conversation, body=body).request().body == b'{"amount":"1.50","none":null}'


def test_a_client_wants_a_key_and_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("B2B_CHAT_API_KEY", raising=False)
    monkeypatch.delenv("B2B_CHAT_BASE_URL", raising=False)
    for key, url in ((None, "http://x"), ("b2b_x", None), ("b2b_x", "x.test"), ("two words", "http://x")):
        with pytest.raises(NotConfigured):
            configured(key, url, timeout_seconds=1, max_retries=0)
    monkeypatch.setenv("B2B_CHAT_API_KEY", "b2b_environ")
    monkeypatch.setenv("B2B_CHAT_BASE_URL", "https://chat.test/v1/")
    found = configured(None, None, timeout_seconds=1, max_retries=0)
    assert (found.api_key, found.base_url) == ("b2b_environ", "https://chat.test")
    assert "b2b_environ" not in repr(found)
