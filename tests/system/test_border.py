"""What crosses the border, read off the wire: exactly the headers and fields that SECURITY.md lists, and no canary."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

import httpx
import msgspec
import pytest
import pytest_asyncio

from support.canaries.values import Canaries
from support.database.roles import AppUser, created_database
from support.database.world import open_world
from support.faults.processes import Part
from support.gateway.app import API_KEY, SECRET
from support.http.serving import free_port
from support.network.protocols import HttpRequest, http_requests
from support.network.proxy import Proxy, listening
from support.openai.simulated import simulated_openai
from support.processes.commands import clean_environ
from support.processes.project_files import ROOT
from support.product.app import product_process
from support.telemetry.collector import Collector

_HOST: Final = "127.0.0.1"
_CANARY: Final = "canary-7Qz"
_TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
_OF_CLIENTS: Final = {
    "Accept-Language": f"{_CANARY}-language",
    "Baggage": f"who={_CANARY}-baggage",
    "Cookie": f"theme={_CANARY}-cookie",
    "DNT": f"{_CANARY}-dnt",
    "Forwarded": f"for={_CANARY}-forwarded",
    "From": f"{_CANARY}-from@example.test",
    "Origin-Agent-Cluster": f"{_CANARY}-cluster",
    "Referer": f"https://example.test/{_CANARY}-referer",
    "Sec-CH-UA": f"{_CANARY}-brand",
    "Traceparent": f"00-{_TRACE}-00f067aa0ba902b7-01",
    "Tracestate": f"crm={_CANARY}-tracestate",
    "User-Agent": f"{_CANARY}-agent",
    "Via": f"1.1 {_CANARY}-via",
    "X-Client-Request-Id": f"{_CANARY}-openai",
    "X-Forwarded-For": "198.51.100.77",
    "X-Forwarded-Host": f"{_CANARY}-host",
    "X-Real-IP": "198.51.100.78",
    "X-Request-ID": f"{_CANARY}-request",
    "X-Whatever": f"{_CANARY}-whatever",
}
_HOPS: Final = ("product_api to gateway_api", "gateway_api to OpenAI")


class Crossed(NamedTuple):
    """What was seen on the two lines."""

    hops: dict[str, list[HttpRequest]]
    canaries: Canaries


@pytest_asyncio.fixture(scope="module")
async def crossed(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, template_database: str, app_user: AppUser
) -> AsyncIterator[Crossed]:
    """A chat of each form, sent by a client with a canary in every header and field that is not the text."""
    home = tmp_path_factory.mktemp("border")
    hops: dict[str, list[HttpRequest]] = {hop: [] for hop in _HOPS}
    ports = {name: free_port() for name in ("gateway", "border", "out")}
    canaries = Canaries()
    async with AsyncExitStack() as stack:
        owner_url = stack.enter_context(created_database(postgres_url, prefix="border", template=template_database))
        database_url = app_user.url(owner_url)
        collector = await stack.enter_async_context(Collector().listening())
        openai = await stack.enter_async_context(simulated_openai())
        out = Proxy((_HOST, int(openai.url.rpartition(":")[2])), watch=http_requests(hops[_HOPS[1]].append))
        border = Proxy((_HOST, ports["gateway"]), watch=http_requests(hops[_HOPS[0]].append))
        await stack.enter_async_context(listening(out, (_HOST, ports["out"])))
        await stack.enter_async_context(listening(border, (_HOST, ports["border"])))
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        settings = {
            "APP_ENV": "test",
            "GATEWAY_PORT": str(ports["gateway"]),
            "GATEWAY_SHARED_SECRET": SECRET,
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_BASE_URL": f"http://{_HOST}:{ports['out']}/v1",
            **traced,
        }
        gateway = Part("gateway", clean_environ(home, **settings), f"http://{_HOST}:{ports['gateway']}", home)
        stack.callback(gateway.kill)
        await gateway.start()
        product = product_process(
            home, database_url, f"http://{_HOST}:{ports['border']}", GATEWAY_SHARED_SECRET=SECRET, **traced
        )
        url, _ = await stack.enter_async_context(product)
        world = await stack.enter_async_context(open_world(owner_url))
        person = await world.person()
        canaries.add("header", *(value for name, value in _OF_CLIENTS.items() if name != "Traceparent"))
        canaries.add("key", person.api_key)
        canaries.add("mail", f"{person.user_id}@example.test")
        canaries.add("id of a client", f"{_CANARY}-message")
        headers = {**_OF_CLIENTS, "Authorization": f"Bearer {person.api_key}"}
        async with httpx.AsyncClient(base_url=url, timeout=60, headers=headers) as http:
            await send(http, client_message_id=f"{_CANARY}-message-1", text="A first question")
            await send(http, client_message_id=f"{_CANARY}-message-2", text="A second question", stream=True)
        yield Crossed(hops, canaries)


async def send(http: httpx.AsyncClient, **body: Any) -> None:
    answer = await http.post("/v1/chat", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-request-id"] == _OF_CLIENTS["X-Request-ID"]


def fields_of(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all that a body holds, as `metadata.user_id`; of a list, those of each item."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields_of(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_of(inner, f"{path}[]")
    else:
        yield path


def listed(hop: str, what: str) -> set[str]:
    """What a row of SECURITY.md's table names."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    (cells,) = re.findall(rf"(?m)^\| {hop} \| {what} \| (.+) \|$", text)
    return set(re.findall(r"`([^`]+)`", cells))


@pytest.mark.parametrize("hop", _HOPS)
def test_the_headers_are_those_that_are_listed(crossed: Crossed, hop: str) -> None:
    calls = [call for call in crossed.hops[hop] if call.method == "POST"]
    assert len(calls) == 2
    seen = {name.decode() for call in calls for name, _ in call.headers}
    assert seen == {name.lower() for name in listed(hop, "headers")}


@pytest.mark.parametrize("hop", _HOPS)
def test_the_fields_are_those_that_are_listed(crossed: Crossed, hop: str) -> None:
    bodies = [msgspec.json.decode(call.body) for call in crossed.hops[hop] if call.method == "POST"]
    assert {field for body in bodies for field in fields_of(body)} == listed(hop, "fields")


@pytest.mark.parametrize("hop", _HOPS)
def test_nothing_that_a_client_chose_crosses_but_its_text(crossed: Crossed, hop: str) -> None:
    for call in crossed.hops[hop]:
        written = call.target + b"\n".join(name + b": " + value for name, value in call.headers) + call.body
        assert crossed.canaries.hits(written) == []


@pytest.mark.parametrize("hop", _HOPS)
def test_the_search_would_find_one(crossed: Crossed, hop: str) -> None:
    call = crossed.hops[hop][-1]
    planted = call.body + _OF_CLIENTS["Tracestate"].encode()
    assert {hit.kind for hit in crossed.canaries.hits(planted)} == {"header"}


def test_one_id_of_our_own_leads_from_end_to_end(crossed: Crossed) -> None:
    border, out = ([call for call in crossed.hops[hop] if call.method == "POST"] for hop in _HOPS)
    ours = [call.header(b"x-request-id").decode() for call in border]
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in ours)
    assert len(set(ours)) == len(ours)
    assert [call.header(b"x-client-request-id").decode() for call in out] == ours
