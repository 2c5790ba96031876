"""Operators' sessions are short, and operators may be bound to networks."""

import httpx
import pytest

from b2b_chat.kit.settings import SettingsError
from b2b_chat.product.configuration import load_settings
from support.database.world import World
from support.gateway.fake import FakeGateway
from support.product.app import environ, error_of, served_product
from support.product.sessions import add_operator, add_session, http_client


async def status(url: str, session: str, path: str = "/v1/me") -> int:
    async with http_client(url, session=session) as browser:
        return (await browser.get(path)).status_code


@pytest.mark.parametrize("column", ["created_at", "last_seen_at"])
async def test_an_operators_session_ends_sooner_than_others(world: World, product_url: str, column: str) -> None:
    operator_id, _ = await add_operator(world)
    person = await world.person()
    sessions = [await add_session(world, operator_id), await add_session(world, person.user_id, person.company_id)]
    assert [await status(product_url, session) for session in sessions] == [200, 200]
    age = {"created_at": "12 hours", "last_seen_at": "30 minutes"}[column]
    await world.rows(f"UPDATE sessions SET {column} = now() - interval '{age}'")  # noqa: S608 - our own words
    assert [await status(product_url, session) for session in sessions] == [401, 200]
    # One who becomes an operator is held to it at once.
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", person.user_id)
    assert await status(product_url, sessions[1]) == 401


async def test_operators_come_from_their_networks_alone(
    world: World, database_url: str, module_gateway: FakeGateway
) -> None:
    operator_id, key = await add_operator(world)
    session = await add_session(world, operator_id)
    proxy = {"trusted_proxies": "127.0.0.1", "operator_networks": "10.1.0.0/16, 2001:db8::/32"}
    async with served_product(database_url, module_gateway.url, **proxy) as url:
        for credential in ({"key": key}, {"session": session}):
            async with http_client(url, **credential) as http:

                async def answer(path: str, address: str, http: httpx.AsyncClient = http) -> httpx.Response:
                    return await http.get(path, headers={"X-Forwarded-For": address})

                for inside in ("10.1.2.3", "192.0.2.1, 10.1.2.3", "2001:db8::1"):
                    assert (await answer("/admin/companies", inside)).status_code == 200
                for outside in ("10.2.0.1", "10.1.2.3, 192.0.2.1", "2001:db9::1", "not an address"):
                    refused = await answer("/admin/companies", outside)
                    assert error_of(refused) == (403, "operator_network_required")
                    assert (await answer("/operator/companies", outside)).status_code == 403
                    assert (await answer("/v1/me", outside)).status_code == 200
    rows = await world.rows("SELECT DISTINCT reason FROM audit_log WHERE actor_user_id = $1", operator_id)
    assert {row["reason"] for row in rows} <= {None, "operator_network_required"}


@pytest.mark.parametrize("text", ["10.0.0.0/33", "ten", ",", "10.0.0.1/8"])
def test_networks_that_are_none_are_no_permission(text: str) -> None:
    with pytest.raises(SettingsError, match="OPERATOR_NETWORKS"):
        load_settings(environ("postgresql://127.0.0.1:1/none", "http://127.0.0.1:1", OPERATOR_NETWORKS=text))
