"""Queries are as strict as bodies, for every operation of the document."""

import asyncio
import socket
from typing import Any, Final
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest

from b2b_chat.kit.settings import load
from b2b_chat.product.app import create_litestar
from b2b_chat.product.settings import ProductSettings
from support.product.app import Client, environ, error_of

_document: Final[dict[str, Any]] = create_litestar(
    load(ProductSettings, environ("postgresql://127.0.0.1:1/none", "http://127.0.0.1:1"))
).openapi_schema.to_schema()
OPERATIONS: Final = sorted(
    (method.upper(), path)
    for path, methods in _document["paths"].items()
    for method in methods
    if method != "parameters"
)


def target_of(path: str) -> str:
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + str(uuid4()) + rest.partition("}")[2]
    return path


def query_parameters(method: str, path: str) -> list[str]:
    parameters = _document["paths"][path][method.lower()].get("parameters", [])
    return [each["name"] for each in parameters if each["in"] == "query" and each["schema"].get("type") != "array"]


def is_page(method: str, path: str) -> bool:
    """Whether people come here by a link, which mail programs and others decorate with parameters of their own."""
    answers = _document["paths"][path][method.lower()]["responses"]
    return "text/html" in answers.get("200", {}).get("content", {})


PAGES: Final = [each for each in OPERATIONS if is_page(*each)]


@pytest.mark.parametrize(("method", "path"), PAGES)
async def test_pages_take_any_parameter(client: Client, method: str, path: str) -> None:
    assert (await client.http.request(method, path, params={"utm_source": "mail"})).status_code == 200


@pytest.mark.parametrize(("method", "path"), [each for each in OPERATIONS if each not in PAGES])
async def test_no_operation_takes_an_unknown_parameter(client: Client, method: str, path: str) -> None:
    answer = await client.http.request(method, target_of(path), params={"no_such": "1"})
    assert error_of(answer) == (400, "unknown_parameter")


@pytest.mark.parametrize(("method", "path"), [each for each in OPERATIONS if query_parameters(*each)])
async def test_no_operation_takes_one_value_twice(client: Client, method: str, path: str) -> None:
    for name in query_parameters(method, path):
        answer = await client.http.request(method, target_of(path), params=[(name, "1"), (name, "2")])
        assert error_of(answer) == (400, "invalid_request")
        assert answer.json()["detail"]["message"] == f"{name}: given more than once."


def ask_raw(client: Client, target: bytes, authorization: str) -> bytes:
    """The response to a request line as it stands, which no HTTP client would send."""
    host, port = urlsplit(str(client.http.base_url)).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: %s\r\n\r\n"
        connection.sendall(head % (target, authorization.encode()))
        return b"".join(iter(lambda: connection.recv(65_536), b""))


async def test_a_search_in_raw_utf8_finds_what_an_encoded_one_does(client: Client) -> None:
    await client.ask("первая строка")
    encoded = await client.http.get("/v1/conversations?search=" + quote("первая"))
    assert len(encoded.json()["items"]) == 1
    authorization = client.http.headers["authorization"]
    raw = await asyncio.to_thread(ask_raw, client, "/v1/conversations?search=первая".encode(), authorization)
    assert raw.partition(b"\r\n\r\n")[2] == encoded.content
    latin = await asyncio.to_thread(ask_raw, client, "/v1/conversations?search=é".encode("latin-1"), authorization)
    assert latin.startswith(b"HTTP/1.1 400 ")
    encoded = await client.http.get("/v1/conversations?search=%E9")
    assert error_of(encoded) == (400, "invalid_request")
    assert encoded.json()["detail"]["message"] == "The query is not UTF-8."


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/conversations?search=a%0Ab", "one line of text without control characters"),
        ("/v1/conversations?search=a%0A", "one line of text without control characters"),
        ("/v1/conversations?cursor=x", "a cursor that this list gave"),
        ("/v1/ledger?cursor=x", "a cursor that this list gave"),
    ],
)
async def test_people_read_no_patterns(client: Client, path: str, words: str) -> None:
    answer = await client.http.get(path)
    assert error_of(answer) == (400, "invalid_request")
    message = answer.json()["detail"]["message"]
    assert words in message
    assert "regex" not in message


@pytest.mark.parametrize("id_", ["a b", "a\n", "é", "\x7f"])
async def test_people_read_no_patterns_about_bodies(client: Client, id_: str) -> None:
    answer = await client.send("Hello", client_message_id=id_)
    assert error_of(answer) == (400, "invalid_request")
    message = answer.json()["detail"]["message"]
    assert message.endswith("Expected printable ASCII without spaces - at `$.client_message_id`.")
