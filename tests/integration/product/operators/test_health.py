"""The health of both services, as operators see it."""

import json
import time
from typing import Any

import pytest

from b2b_chat.contract.schemas import MODEL_GPT_5_2
from b2b_chat.gateway.app import create_app
from b2b_chat.kit.settings import Secret
from support.database.world import World
from support.gateway.app import gateway_settings
from support.gateway.fake import FakeGateway, refusing, sending, whole
from support.http.serving import serve
from support.product.app import SHARED_SECRET, error_of, served_product
from support.product.sessions import add_operator, add_session, http_client


async def health(world: World, url: str) -> dict[str, Any]:
    operator_id, _ = await add_operator(world)
    async with http_client(url, session=await add_session(world, operator_id)) as browser:
        answer = await browser.get("/admin/health")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_both_are_well(world: World, database_url: str) -> None:
    settings = gateway_settings(gateway_shared_secret=Secret(SHARED_SECRET))
    async with serve(create_app(settings)) as gateway_url, served_product(database_url, gateway_url) as url:
        found = await health(world, url)
    assert found["product"]["is_ready"]
    assert found["product"]["parts"] == [
        {"name": name, "problem": None} for name in ("draining", "database", "database_disk", "gateway")
    ]
    gateway = found["gateway"]
    assert (gateway["status"], gateway["code"], gateway["model"]) == ("ready", None, MODEL_GPT_5_2)
    assert gateway["version"] == found["product"]["version"]
    assert abs(gateway["clock_skew_seconds"]) <= 1
    assert gateway["answered_in_seconds"] > 0


async def test_a_wrong_secret_is_named(world: World, database_url: str) -> None:
    settings = gateway_settings(gateway_shared_secret=Secret("another-secret-Qm7uW2xR9tLz4KpB8"))
    async with serve(create_app(settings)) as gateway_url, served_product(database_url, gateway_url) as url:
        found = await health(world, url)
    assert (found["gateway"]["status"], found["gateway"]["code"]) == ("refused", "invalid_signature")
    assert abs(found["gateway"]["clock_skew_seconds"]) <= 1
    assert {"name": "gateway", "problem": "gateway_secret"} in found["product"]["parts"]
    assert not found["product"]["is_ready"]


@pytest.mark.parametrize(
    ("contract", "problem"),
    [(None, "gateway_outdated"), (1, "gateway_outdated"), (2, "gateway_outdated"), (3, None)],
)
async def test_a_gateway_of_an_older_contract_is_named(
    world: World, database_url: str, gateway: FakeGateway, contract: int | None, problem: str | None
) -> None:
    """A missing version of the contract is the first."""
    pong = {"version": "0.1.0", "model": MODEL_GPT_5_2, "server_time": int(time.time())}
    gateway.reply = sending(
        whole(200, json.dumps(pong | ({} if contract is None else {"contract": contract})).encode())
    )
    async with served_product(database_url, gateway.url, readiness_cache_seconds=0.0) as url:
        found = await health(world, url)
    assert {"name": "gateway", "problem": problem} in found["product"]["parts"]


async def test_a_clock_that_is_wrong_is_measured(world: World, product_url: str, gateway: FakeGateway) -> None:
    late = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600))
    gateway.reply = refusing("stale_timestamp", f"Date: {late}")
    found = (await health(world, product_url))["gateway"]
    assert (found["status"], found["code"]) == ("refused", "stale_timestamp")
    assert abs(found["clock_skew_seconds"] - 3600) <= 2


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"], ids=["none", "nonsense"])
async def test_a_server_that_is_no_gateway_counts_as_unreachable(
    world: World, product_url: str, gateway: FakeGateway, answer: bytes
) -> None:
    gateway.reply = sending(answer)
    found = (await health(world, product_url))["gateway"]
    assert found["status"] == "unreachable"
    assert found["version"] is None


async def test_it_is_for_operators(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    async with http_client(product_url, key=owner.api_key) as http:
        assert error_of(await http.get("/admin/health")) == (403, "operator_required")
