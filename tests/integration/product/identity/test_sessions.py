"""Sessions: how they begin, live and end, and the company that they act in."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from b2b_chat.kit.settings import Secret
from b2b_chat.product.identity.sessions import Browser, end_all
from b2b_chat.product.services import Services
from b2b_chat.product.transactions import transaction_factory
from b2b_chat.product.viewer import NoCompany, Unauthenticated, UserBlocked
from support.database.world import Person, World
from support.product.app import error_of
from support.product.login_services import BROWSER, MovableClock, make_people
from support.product.sessions import add_session, add_user, http_client

IDLE_DAYS = 7
ABSOLUTE_DAYS = 30


async def sign_in(world: World, people: Services, user_id: UUID, browser: Browser = BROWSER) -> str:
    async with transaction_factory(world.database)() as tx:
        return await people.sessions.start(tx, user_id, browser)


async def is_live(people: Services, token: str) -> bool:
    try:
        await people.sessions.authenticate(token)
    except Unauthenticated:
        return False
    return True


@pytest_asyncio.fixture
async def http(world: World, product_url: str, person: Person) -> AsyncIterator[httpx.AsyncClient]:
    """A client signed in as a member of a company."""
    token = await add_session(world, person.user_id, person.company_id)
    async with http_client(product_url, session=token) as http:
        yield http


async def test_one_that_is_not_used_for_a_week_is_over(world: World, people: Services, clock: MovableClock) -> None:
    user_id, _ = await add_user(world)
    token = await sign_in(world, people, user_id)
    clock.pass_time(days=IDLE_DAYS, seconds=-1)
    assert await is_live(people, token)
    clock.pass_time(seconds=1)
    assert not await is_live(people, token)


async def test_use_keeps_it_alive_but_not_longer_than_a_month(
    world: World, people: Services, clock: MovableClock
) -> None:
    user_id, _ = await add_user(world)
    token = await sign_in(world, people, user_id)
    for _ in range(ABSOLUTE_DAYS // 6 - 1):
        clock.pass_time(days=6)
        assert await is_live(people, token)
        await people.last_use.write()
    clock.pass_time(days=5, hours=23)
    assert await is_live(people, token)
    await people.last_use.write()
    clock.pass_time(hours=1)
    assert not await is_live(people, token)


async def test_every_login_makes_a_new_token_and_ends_the_browsers_old_one(world: World, people: Services) -> None:
    user_id, _ = await add_user(world)
    first = await sign_in(world, people, user_id)
    elsewhere = await sign_in(world, people, user_id)
    second = await sign_in(world, people, user_id, Browser("192.0.2.1", "Test/1.0", session_token=first))
    assert len({first, elsewhere, second}) == 3
    assert [await is_live(people, token) for token in (first, elsewhere, second)] == [False, True, True]


async def test_all_of_a_user_are_revoked_together(world: World, people: Services, clock: MovableClock) -> None:
    user_id, _ = await add_user(world)
    other_id, _ = await add_user(world)
    tokens = [await sign_in(world, people, user_id) for _ in range(3)]
    others = await sign_in(world, people, other_id)
    async with transaction_factory(world.database)() as tx:
        await end_all(tx, user_id, clock())
    assert [await is_live(people, token) for token in (*tokens, others)] == [False, False, False, True]


async def test_a_blocked_user_learns_of_the_block(world: World, people: Services) -> None:
    user_id, _ = await add_user(world)
    token = await sign_in(world, people, user_id)
    await world.rows("UPDATE users SET blocked_at = now() WHERE id = $1", user_id)
    with pytest.raises(UserBlocked):
        await people.sessions.authenticate(token)


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 101, "é"])
async def test_an_invalid_token_is_refused(people: Services, token: str) -> None:
    assert not await is_live(people, token)


async def test_it_survives_the_rotation_of_its_secret_once(world: World, clock: MovableClock) -> None:
    first, second, third = (Secret(letter * 40) for letter in "abc")
    user_id, _ = await add_user(world)
    token = await sign_in(world, make_people(world, clock, session_secret=first), user_id)
    rotated = make_people(world, clock, session_secret=second, session_secret_previous=first)
    assert await is_live(rotated, token)
    assert not await is_live(make_people(world, clock, session_secret=third, session_secret_previous=second), token)


async def test_it_acts_in_the_company_joined_last_that_lets_it(
    world: World, people: Services, clock: MovableClock
) -> None:
    person = await world.person()
    companies = [person.company_id, *[(await world.person()).company_id for _ in range(3)]]
    for hours, company_id in enumerate(companies[1:], start=1):
        await world.rows(
            "INSERT INTO memberships (company_id, user_id, role, created_at) VALUES ($1, $2, 'member', $3)",
            company_id, person.user_id, clock() + timedelta(hours=hours),
        )  # fmt: skip
    await world.rows("UPDATE companies SET blocked_at = now() WHERE id = $1", companies[3])
    await world.rows(
        "UPDATE memberships SET blocked_at = now() WHERE company_id = $1 AND user_id = $2", companies[2], person.user_id
    )
    viewer = await people.sessions.authenticate(await sign_in(world, people, person.user_id))
    assert viewer.company_id == companies[1]


async def test_without_a_company_it_may_do_nothing_in_one(world: World, product_url: str) -> None:
    user_id, _ = await add_user(world)
    token = await add_session(world, user_id)
    async with http_client(product_url, session=token) as http:
        me = (await http.get("/v1/me")).json()
        assert (me["company"], me["companies"]) == (None, [])
        for path in ("/v1/balance", "/v1/conversations"):
            assert error_of(await http.get(path)) == (403, "no_company")


async def test_a_member_may_chat_and_read(world: World, http: httpx.AsyncClient, person: Person) -> None:
    answer = await http.post("/v1/chat", json={"client_message_id": "1", "text": "Hello"})
    assert answer.status_code == 200
    assert (await world.answer(person))["status"] == "completed"
    assert (await http.get("/v1/balance")).status_code == 200


async def test_me(http: httpx.AsyncClient, person: Person) -> None:
    me = (await http.get("/v1/me")).json()
    assert me["user_id"] == str(person.user_id)
    assert me["company"]["id"] == str(person.company_id)
    assert me["companies"] == [me["company"]]
    assert (me["via"], me["is_operator"]) == ("session", False)


async def test_me_by_key(product_url: str, person: Person) -> None:
    async with http_client(product_url, key=person.api_key) as http:
        me = (await http.get("/v1/me")).json()
        assert (me["via"], me["company"]["id"]) == ("api_key", str(person.company_id))
        for method, path in (
            ("GET", "/auth/sessions"),
            ("PUT", "/v1/me/company"),
            ("DELETE", f"/auth/sessions/{uuid4()}"),
        ):
            answer = await http.request(method, path, json={"company_id": str(person.company_id)})
            assert error_of(answer) == (403, "session_required")


async def test_it_may_change_to_another_company(world: World, http: httpx.AsyncClient, person: Person) -> None:
    other = await world.person()
    refused = await http.put("/v1/me/company", json={"company_id": str(other.company_id)})
    assert error_of(refused) == (404, "company_not_found")
    assert error_of(await http.put("/v1/me/company", json={"company_id": str(uuid4())})) == (404, "company_not_found")
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'owner')", other.company_id, person.user_id
    )
    chosen = await http.put("/v1/me/company", json={"company_id": str(other.company_id)})
    assert (chosen.status_code, chosen.json()["company"]["role"]) == (200, "owner")
    assert (await http.get("/v1/me")).json()["company"]["id"] == str(other.company_id)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE companies SET blocked_at = now() WHERE id = $1 AND $2::uuid IS NOT NULL", (403, "company_blocked")),
        ("UPDATE memberships SET blocked_at = now() WHERE company_id = $1 AND user_id = $2", (403, "user_blocked")),
        ("DELETE FROM memberships WHERE company_id = $1 AND user_id = $2", (403, "no_company")),
    ],
)
async def test_what_stands_between_it_and_its_company(
    world: World, http: httpx.AsyncClient, person: Person, statement: str, refusal: tuple[int, str]
) -> None:
    await world.rows("DELETE FROM api_keys WHERE user_id = $1", person.user_id)
    await world.rows(statement, person.company_id, person.user_id)
    assert error_of(await http.get("/v1/balance")) == refusal
    assert (await http.get("/v1/me")).status_code == 200
    assert (await http.get("/auth/sessions")).status_code == 200


async def test_sessions_are_listed_and_revoked(world: World, product_url: str) -> None:
    user_id, _ = await add_user(world)
    tokens = [await add_session(world, user_id) for _ in range(3)]
    await world.rows(
        "UPDATE sessions SET expires_at = now() WHERE id IN (SELECT id FROM sessions WHERE user_id = $1 LIMIT 1)",
        user_id,
    )
    live = [token for token in tokens if await _is_live_over_http(product_url, token)]
    assert len(live) == 2
    async with http_client(product_url, session=live[0]) as http, http_client(product_url, session=live[1]) as other:
        items = (await http.get("/auth/sessions")).json()["items"]
        assert sorted(item["is_current"] for item in items) == [False, True]
        (others_id,) = [item["id"] for item in items if not item["is_current"]]
        assert (await http.delete(f"/auth/sessions/{others_id}")).status_code == 204
        assert error_of(await http.delete(f"/auth/sessions/{others_id}")) == (404, "session_not_found")
        assert error_of(await other.get("/v1/me")) == (401, "unauthenticated")
        assert len((await http.get("/auth/sessions")).json()["items"]) == 1


async def test_no_one_revokes_another_persons_session(world: World, product_url: str, http: httpx.AsyncClient) -> None:
    user_id, _ = await add_user(world)
    token = await add_session(world, user_id)
    session = await world.row("SELECT id FROM sessions WHERE user_id = $1", user_id)
    assert error_of(await http.delete(f"/auth/sessions/{session['id']}")) == (404, "session_not_found")
    assert await _is_live_over_http(product_url, token)


async def test_logging_out_ends_it_and_forgets_the_cookie(product_url: str, http: httpx.AsyncClient) -> None:
    token = http.cookies["session"]
    answer = await http.post("/auth/logout")
    assert answer.status_code == 204
    assert answer.headers["set-cookie"] == 'session=""; HttpOnly; Max-Age=0; Path=/; SameSite=lax'
    assert not await _is_live_over_http(product_url, token)
    async with http_client(product_url) as nobody:
        assert (await nobody.post("/auth/logout")).status_code == 204


async def test_a_key_that_is_wrong_is_not_made_good_by_a_cookie(http: httpx.AsyncClient) -> None:
    assert error_of(await http.get("/v1/me", headers={"Authorization": "Bearer nonsense"})) == (401, "unauthenticated")
    assert (await http.get("/v1/me", headers={"Authorization": "Basic dTpw"})).status_code == 200


async def test_a_viewer_without_a_company_has_none(world: World, people: Services) -> None:
    user_id, _ = await add_user(world)
    viewer = await people.sessions.authenticate(await sign_in(world, people, user_id))
    with pytest.raises(NoCompany):
        _ = viewer.company_id


async def _is_live_over_http(url: str, token: str) -> bool:
    async with http_client(url, session=token) as http:
        return (await http.get("/v1/me")).status_code == 200
