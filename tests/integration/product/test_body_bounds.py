"""No body costs more than its operation is worth, and a stranger's is counted before it is read."""

import json
from urllib.parse import urlsplit

import pytest

from b2b_chat.product import request_bodies
from support.database.world import World
from support.gateway.fake import FakeGateway
from support.http.stubborn import send
from support.product.app import Client, client_of, error_of, served_product
from support.product.operations import Operation, list_operations

STRANGERS = ("/auth/request-link", "/auth/verify")
NESTED = b"[" * 2000 + b"]" * 2000
WITH_BODY = [
    operation
    for operation in list_operations()
    if operation.method in {"POST", "PUT", "PATCH"}
    and not operation.path.startswith(("/v1/chat", "/v1/responses", "/v1/masking", "/v1/company/masking"))
    and operation.name != "logOut"
    and "{" not in operation.path
]


def padded(size_bytes: int) -> bytes:
    return b'{"a":"' + b"x" * size_bytes + b'"}'


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_only_a_message_may_be_large(
    product_url: str, module_gateway: FakeGateway, world: World, operation: Operation
) -> None:
    del module_gateway
    bound = 4096 if operation.path in STRANGERS else 65_536
    async with client_of(product_url, await world.person(role="owner")) as client:
        headers = {"Content-Type": "application/json"}
        refused = await client.http.request(operation.method, operation.path, content=padded(bound), headers=headers)
        found = error_of(refused)
        assert found == (413, "body_too_large") or found[0] in {401, 403}


async def test_a_message_may_be_as_large_as_it_could(client: Client) -> None:
    refused = await client.http.post("/v1/chat", content=padded(900_000), headers={"Content-Type": "application/json"})
    assert error_of(refused) == (400, "invalid_request")


@pytest.mark.parametrize("path", STRANGERS)
async def test_a_stranger_is_counted_before_the_body_is_read(
    database_url: str, module_gateway: FakeGateway, path: str
) -> None:
    async with served_product(database_url, module_gateway.url, login_rpm_per_ip=2) as url:
        port = urlsplit(url).port or 0
        head = [f"POST {path} HTTP/1.1", "Content-Type: application/json", "Content-Length: 1000"]
        for _ in range(2):  # they send no body, and leave
            await send(port, head, leaves=True)
        received = await send(port, head)
        assert received is not None
        assert (received.status, received.body["detail"]["code"]) == (429, "rate_limited")


def test_a_large_body_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> None:
        raise AssertionError("it was read again")

    explain = request_bodies._closer
    assert isinstance(explain(NESTED), request_bodies.TooDeeplyNested)
    monkeypatch.setattr(json, "loads", fail)
    assert explain(NESTED * 5) is None
