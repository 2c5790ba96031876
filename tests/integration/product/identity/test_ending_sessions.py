"""Who finds a session open does not end the others of its person: that takes a recent sign-in or second factor."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from support.database.world import World
from support.gateway.fake import FakeGateway
from support.product.app import error_of, served_product
from support.product.authenticator import set_up
from support.product.sessions import add_operator, add_session, add_user, http_client

AGE = "UPDATE sessions SET created_at = now() - interval '601 seconds', proved_at = proved_at - interval '601 seconds'"
AGE_ALL = f"{AGE} WHERE user_id = $1"


@pytest_asyncio.fixture(scope="module")
async def url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    async with served_product(database_url, module_gateway.url, operator_second_factor=True) as url:
        yield url


async def ids(http: httpx.AsyncClient) -> tuple[str, str]:
    """The session of this browser, and the other one."""
    items = (await http.get("/auth/sessions")).json()["items"]
    (own,) = [item["id"] for item in items if item["is_current"]]
    (other,) = [item["id"] for item in items if not item["is_current"]]
    return own, other


async def test_a_session_that_began_long_ago_ends_itself_alone(world: World, url: str) -> None:
    user_id, _ = await add_user(world)
    old, elsewhere = await add_session(world, user_id), await add_session(world, user_id)
    await world.rows(AGE_ALL, user_id)
    async with http_client(url, session=old) as http, http_client(url, session=elsewhere) as other:
        own_id, other_id = await ids(http)
        assert error_of(await http.delete(f"/auth/sessions/{other_id}")) == (403, "sign_in_too_old")
        assert (await other.get("/v1/me")).status_code == 200
        assert (await http.delete(f"/auth/sessions/{own_id}")).status_code == 204
        assert (await other.post("/auth/logout")).status_code == 204
        for ended in (http, other):
            assert error_of(await ended.get("/v1/me")) == (401, "unauthenticated")


async def test_who_signed_in_just_now_ends_others(world: World, url: str) -> None:
    user_id, _ = await add_user(world)
    await add_session(world, user_id)
    await world.rows(AGE_ALL, user_id)
    async with http_client(url, session=await add_session(world, user_id)) as http:
        _, other_id = await ids(http)
        assert (await http.delete(f"/auth/sessions/{other_id}")).status_code == 204


async def test_a_second_factor_is_proved_again_where_one_is_asked(world: World, url: str) -> None:
    operator_id, _ = await add_operator(world)
    await add_session(world, operator_id)
    async with http_client(url, session=await add_session(world, operator_id)) as http:
        app, _ = await set_up(http)
        _, other_id = await ids(http)
        await world.rows(AGE_ALL, operator_id)
        assert error_of(await http.delete(f"/auth/sessions/{other_id}")) == (403, "step_up_required")
        assert (await http.post("/auth/second-factor/proof", json={"code": app.code()})).status_code == 204
        assert (await http.delete(f"/auth/sessions/{other_id}")).status_code == 204
