"""Both real apps as processes, driven over HTTP and over raw sockets."""

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from b2b_chat.contract.signing import sign
from b2b_chat.sandbox.postgres import run_sql
from support.gateway.chat_bodies import chat_request
from support.processes.commands import addresses_of, clean_environ, started

SECRET = "7d0f3b6a91c24e58b7f1a2c3d4e5f607"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    home: Path = tmp_path_factory.mktemp("stack")
    environ = clean_environ(home, GATEWAY_SHARED_SECRET=SECRET)
    with started("up", "--json", "--data-dir", home / "data", environ=environ) as process:
        yield addresses_of(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture
def product(stack: dict[str, Any]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack['api_key']}"}
    with httpx.Client(base_url=stack["product_url"], headers=headers, timeout=30, trust_env=False) as client:
        yield client


def message(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    return {"client_message_id": uuid4().hex, "text": text, **fields}


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def error_code(self) -> str:
        code: str = json.loads(self.body)["error"]["code"]
        return code


def spoken(url: str, request: bytes) -> Answer:
    """What a server answers to these very bytes."""
    address = urlsplit(url)
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]), body)


def signed_chat(secret: str = SECRET, **changes: str) -> bytes:
    """A chat for the gateway, as it goes over the line; `changes` replace headers after signing."""
    body = json.dumps(chat_request()).encode()
    headers = sign(secret.encode(), "POST", "/v1/chat", body, unix_seconds=int(time.time())) | changes
    lines = [f"{name}: {value}" for name, value in headers.items() if value]
    head = ["POST /v1/chat HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}", "Connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def test_rest_and_its_retry(product: httpx.Client) -> None:
    sent = message("Сколько будет дважды два?")
    first = product.post("/v1/chat", json=sent)
    assert first.status_code == 200
    assert "Сколько будет дважды два?" in first.json()["text"]
    again = product.post("/v1/chat", json=sent)
    assert again.json() == first.json()
    entry = product.get("/v1/ledger").json()["items"][0]
    assert entry["message_id"] == first.json()["user_message_id"]
    assert Decimal(entry["amount_credits"]) == -Decimal(first.json()["charge_credits"]) < 0


def test_sse_comes_delta_by_delta(product: httpx.Client) -> None:
    sent = message("[[simulate: tokens=10; tps=20]] Hello", stream=True)
    with product.stream("POST", "/v1/chat", json=sent) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        names = [line.removeprefix("event: ") for line in response.iter_lines() if line.startswith("event: ")]
    assert names == ["start", *["delta"] * names.count("delta"), "final"]
    # 10 tokens at 20 a second: had anything buffered the stream, the deltas would have come as one.
    assert names.count("delta") >= 5


def test_stopping_at_the_last_word_pays_for_what_was_thought_unseen(product: httpx.Client) -> None:
    said = "word " * 80
    thinking = f"reasoning_tokens=3000; tps=1500; text={said.replace(' ', '%20')}"
    whole = {}
    with product.stream("POST", "/v1/chat", json=message(f"[[simulate: {thinking}]]", stream=True)) as response:
        for data in events_of(response):
            whole = data
    never_ending = message(f"[[simulate: {thinking}; stall_after=1000]]", stream=True)
    text, answer_id, stopped = "", "", {}
    with product.stream("POST", "/v1/chat", json=never_ending) as response:
        for data in events_of(response):
            answer_id = data.get("assistant_message_id", answer_id)
            text += data.get("text", "")
            if text == said:
                stopped = product.post(f"/v1/chat/{answer_id}/stop").json()
                break
    assert (stopped["status"], stopped["text"]) == ("stopped", said)
    assert whole["usage"]["completion_tokens"] > 3000
    assert Decimal("0.8") <= Decimal(stopped["charge_credits"]) / Decimal(whole["charge_credits"])


def events_of(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The data of each event as it comes."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_a_conversation_goes_on(product: httpx.Client) -> None:
    first = product.post("/v1/chat", json=message("One")).json()
    second = product.post("/v1/chat", json=message("Two", conversation_id=first["conversation_id"])).json()
    assert second["conversation_id"] == first["conversation_id"]
    said = product.get(f"/v1/conversations/{first['conversation_id']}/messages").json()["items"]
    assert [(item["role"], item["status"]) for item in said] == [("user", "completed"), ("assistant", "completed")] * 2


def test_without_credits_there_is_no_answer(stack: dict[str, Any], product: httpx.Client) -> None:
    balance = product.get("/v1/balance").json()["balance_credits"]
    take = (
        "WITH moved AS (UPDATE accounts SET balance_credits = balance_credits {sign} {amount}, entries = entries + 1 "
        "RETURNING company_id, entries, balance_credits) "
        "INSERT INTO ledger (company_id, position, kind, amount_credits, balance_after_credits) "
        "SELECT company_id, entries, 'top_up', {sign}{amount}, balance_credits FROM moved"
    )
    run_sql(stack["database_url"], take.format(sign="-", amount=balance))
    try:
        refused = product.post("/v1/chat", json=message())
        assert refused.status_code == 402
        assert refused.json()["detail"]["code"] == "insufficient_credits"
        assert "insufficient credits" in refused.json()["detail"]["message"].lower()
    finally:
        run_sql(stack["database_url"], take.format(sign="+", amount=balance))
    assert product.post("/v1/chat", json=message()).status_code == 200


def test_a_signed_call_is_let_in_once(stack: dict[str, Any]) -> None:
    request = signed_chat()
    assert spoken(stack["gateway_url"], request).status == 200
    replayed = spoken(stack["gateway_url"], request)
    assert (replayed.status, replayed.error_code) == (401, "replayed_nonce")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"secret": "0" * 32}, "invalid_signature"),
        ({"X-Signature": "0" * 64}, "invalid_signature"),
        ({"X-Nonce": "a" * 32}, "invalid_signature"),
        ({"X-Signature": ""}, "missing_signature"),
        ({"X-Timestamp": "yesterday"}, "malformed_signature"),
    ],
    ids=["another secret", "another signature", "another nonce", "no signature", "no timestamp"],
)
def test_a_wrong_signature_is_refused(stack: dict[str, Any], wrong: dict[str, str], code: str) -> None:
    refused = spoken(stack["gateway_url"], signed_chat(**wrong))
    assert (refused.status, refused.error_code) == (401, code)


def test_health_is_open_and_says_no_more_than_the_version(stack: dict[str, Any]) -> None:
    for name in ("product_url", "gateway_url"):
        answer = spoken(stack[name], b"GET /health HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n")
        assert (answer.status, answer.body) == (200, f'{{"status":"ok","version":"{version("b2b-chat")}"}}'.encode())


def test_the_product_needs_a_key(stack: dict[str, Any]) -> None:
    request = b"GET /v1/balance HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n"
    answer = spoken(stack["product_url"], request)
    assert answer.status == 401
    detail = json.loads(answer.body)["detail"]
    assert (detail["code"], detail["retryable"]) == ("unauthenticated", False)
    assert re.fullmatch("[0-9a-f]{32}", detail["request_id"])
