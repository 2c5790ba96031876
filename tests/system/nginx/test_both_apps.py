"""Both apps as on two servers: client, nginx, product_api, nginx, gateway_api, each as a process of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from b2b_chat.sandbox.processes import Child, our_command, spawn
from support.database.roles import AppUser, created_database
from support.database.world import World, open_world
from support.gateway.app import API_KEY, Signed
from support.http.serving import free_port
from support.network.nginx import Nginx
from support.openai.simulated import Wire, simulated_openai
from support.processes.commands import clean_environ, until
from support.product.app import SHARED_SECRET, Client, error_of, product_process, until_healthy

ALLOWED = "127.0.0.1"
CHATS_A_MINUTE = 3


class Gateway:
    """gateway_api, which can be stopped and started again."""

    def __init__(self, log: Path, environ: dict[str, str]) -> None:
        self.log = log
        self._environ = environ
        self._process: Child | None = None

    def start(self) -> None:
        self._process = spawn("gateway", our_command("gateway"), environ=self._environ, log=self.log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.ask_to_stop()
            self._process.stop(kill_after_seconds=30)
            self._process = None


@dataclass
class Servers:
    nginx: Nginx
    simulator: Wire
    world: World
    gateway: Gateway

    async def client(self, *, address: str = "127.0.0.1", **headers: str) -> Client:
        """A client of product_api, behind nginx, with a key of its own."""
        person = await self.world.person()
        headers |= {"Authorization": f"Bearer {person.api_key}"}
        return Client(self.nginx.client("product_api", address=address, headers=headers))


@pytest_asyncio.fixture(scope="module")
async def servers(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, template_database: str, app_user: AppUser
) -> AsyncIterator[Servers]:
    """Everything, started."""
    home = tmp_path_factory.mktemp("servers")
    gateway_port, product_port = free_port(), free_port()
    nginx = Nginx(home / "nginx", {"product_api": product_port, "gateway_api": gateway_port}, allowed=[ALLOWED])
    async with AsyncExitStack() as stack:
        owner_url = stack.enter_context(created_database(postgres_url, prefix="servers", template=template_database))
        database_url = app_user.url(owner_url)
        simulator = await stack.enter_async_context(simulated_openai())
        gateway_settings = {
            "APP_ENV": "test",
            "GATEWAY_PORT": str(gateway_port),
            "GATEWAY_SHARED_SECRET": SHARED_SECRET,
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_BASE_URL": f"{simulator.url}/v1",
        }
        gateway = Gateway(home / "gateway.log", clean_environ(home, **gateway_settings))
        gateway.start()
        stack.callback(gateway.stop)
        stack.enter_context(nginx.running())
        product = {
            "PRODUCT_PORT": str(product_port),
            "TRUSTED_PROXIES": "127.0.0.1",
            "CHAT_RPM_PER_IP": str(CHATS_A_MINUTE),
            "GATEWAY_IN_FLIGHT_WAIT_SECONDS": "60",  # a loaded machine takes its time to start a gateway
            "SSL_CERT_FILE": str(nginx.authority_file),
        }
        await stack.enter_async_context(product_process(home, database_url, nginx.url("gateway_api"), **product))
        await until_healthy(f"http://127.0.0.1:{gateway_port}")
        world = await stack.enter_async_context(open_world(owner_url))
        yield Servers(nginx, simulator, world, gateway)


async def test_an_answer_streams_through_both_as_it_is_written(servers: Servers) -> None:
    client = await servers.client()
    async with client.http, client.streaming("[[simulate: tokens=60; tps=20]] Hello") as events:
        assert (await anext(events)).name == "start"
        assert (await anext(events)).name == "delta"
        (call,) = await servers.simulator.seen()
        assert call["outcome"] == "running"
        rest = [event.name async for event in events]
    assert rest == ["delta"] * (len(rest) - 1) + ["final"]
    assert len(rest) > 10


async def test_a_raw_utf8_query_finds_through_nginx_what_an_encoded_one_finds(servers: Servers) -> None:
    client = await servers.client(address="127.0.0.4")
    async with client.http:
        await client.ask("первая строка")
        encoded = await client.http.get("/v1/conversations", params={"search": "первая"})
        assert len(encoded.json()["items"]) == 1
        authorization = client.http.headers["authorization"]
    raw = await ask_raw(servers.nginx, "/v1/conversations?search=первая".encode(), authorization)
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert encoded.content in raw
    latin = await ask_raw(servers.nginx, "/v1/conversations?search=é".encode("latin-1"), authorization)
    assert latin.startswith(b"HTTP/1.1 400 ")


async def ask_raw(nginx: Nginx, target: bytes, authorization: str) -> bytes:
    """The response to a request line as it stands, which no HTTP client would send."""
    reader, writer = await nginx.connect("product_api")
    head = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: %s\r\n\r\n"
    writer.write(head % (target, authorization.encode()))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_app_believes_nginx_and_not_the_client_about_its_address(servers: Servers) -> None:
    answers = []
    for number in range(CHATS_A_MINUTE + 1):
        forging = await servers.client(address="127.0.0.2", **{"X-Forwarded-For": f"198.51.100.{number}"})
        async with forging.http:
            answers.append(await forging.send())
    assert [answer.status_code for answer in answers] == [*[200] * CHATS_A_MINUTE, 429]
    assert error_of(answers[-1]) == (429, "rate_limited")
    elsewhere = await servers.client(address="127.0.0.3")
    async with elsewhere.http:
        assert (await elsewhere.send()).status_code == 200


async def test_only_listed_addresses_reach_the_gateway_however_well_they_sign(servers: Servers) -> None:
    # Nothing in between may tidy up what is signed: then it would be 401. A ping takes no parameters, which is 400.
    target = "/internal/ping?a=%2f&b=%D0%BF&&c=//x/%7E"
    answers = {}
    for address, request_id in ((ALLOWED, "ours"), ("127.0.0.2", "a-stranger")):
        async with servers.nginx.client("gateway_api", address=address, headers={"X-Request-ID": request_id}) as http:
            http.auth = Signed(SHARED_SECRET)
            answers[request_id] = await http.get(httpx.URL(servers.nginx.url("gateway_api") + target))
    assert [answers[name].status_code for name in ("ours", "a-stranger")] == [400, 403]
    assert answers["ours"].json()["error"]["code"] == "invalid_body"
    until(lambda: '"ours"' in servers.gateway.log.read_text())
    logged = servers.gateway.log.read_text()
    assert "a-stranger" not in logged
    seen = [json.loads(line) for line in servers.nginx.logs("gateway_api.access*").splitlines()]
    ends = {line["request_id"]: (line["status"], line["app_status"]) for line in seen}
    assert (ends["ours"], ends["a-stranger"]) == (("400", "400"), ("403", ""))


async def test_a_message_sent_while_the_gateway_restarts_is_answered(servers: Servers) -> None:
    client = await servers.client(address="127.0.0.4")
    servers.gateway.stop()
    async with client.http:
        waiting = asyncio.create_task(client.ask("Are you back?"))
        refused = '"status":"503"'
        await asyncio.to_thread(until, lambda: refused in servers.nginx.logs("gateway_api.access*"))
        servers.gateway.start()
        assert "Are you back?" in (await waiting)["text"]
