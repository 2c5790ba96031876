"""A second factor is asked after the first, proved by codes that work once, and set up by its own person."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from msgspec import structs

from b2b_chat.kit.settings import Secret
from b2b_chat.product.second_factor.service import SecondFactors
from b2b_chat.product.transactions import transaction_factory
from support.database.world import World
from support.gateway.fake import FakeGateway
from support.product.app import error_of, product_settings, served_product
from support.product.authenticator import Authenticator, set_up
from support.product.operations import Operation, list_operations
from support.product.sessions import add_operator, add_session, add_user, http_client

PROOF: Final = "/auth/second-factor/proof"
REQUIRED: Final = (403, "second_factor_required")
WRONG: Final = (403, "second_factor_wrong")
OPEN_BEFORE: Final = {
    "getMe", "chooseCompany", "getSecondFactor", "beginSecondFactor", "confirmSecondFactor", "proveSecondFactor",
    "second_factor",
}  # fmt: skip
"""All that a person who has proved the first factor alone may ask for."""
BEHIND_IT: Final = [
    each
    for each in list_operations()
    if each.guards & {"signed_in", "by_session", "operator_only"} and each.name not in OPEN_BEFORE
]


@pytest_asyncio.fixture(scope="module")
async def url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    """A product_api that asks operators for a second factor, as production does."""
    async with served_product(database_url, module_gateway.url, operator_second_factor=True) as url:
        yield url


@pytest_asyncio.fixture
async def operator_id(world: World) -> UUID:
    return (await add_operator(world))[0]


@pytest_asyncio.fixture
async def browser(world: World, url: str, operator_id: UUID) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of an operator who has signed in by mail."""
    async with http_client(url, session=await add_session(world, operator_id)) as browser:
        yield browser


async def prove(browser: httpx.AsyncClient, code: str) -> httpx.Response:
    return await browser.post(PROOF, json={"code": code})


@pytest.mark.parametrize("operation", BEHIND_IT, ids=lambda operation: f"{operation.method} {operation.path}")
async def test_the_first_factor_alone_opens_nothing(browser: httpx.AsyncClient, operation: Operation) -> None:
    ids = dict.fromkeys(
        ("company_id", "user_id", "api_key_id", "invite_id", "session_id", "conversation_id", "user_message_id"),
        "00000000-0000-0000-0000-000000000000",
    )
    path = operation.path.format_map({**ids, "assistant_message_id": ids["user_id"]})
    answer = await browser.request(operation.method, path, json={} if operation.is_unsafe else None)
    if answer.status_code == 302:
        assert answer.headers["location"] == f"/second-factor#{path}"
    else:
        assert error_of(answer) == REQUIRED


async def test_what_is_open_before_it(browser: httpx.AsyncClient) -> None:
    assert {each.name for each in list_operations() if each.opt.get("before_second_factor")} == OPEN_BEFORE
    assert (await browser.get("/v1/me")).json()["is_operator"] is True
    assert (await browser.get("/second-factor")).status_code == 200
    assert (await browser.get("/auth/second-factor")).json() == {
        "is_needed": True,
        "is_set_up": False,
        "proved_at": None,
        "recovery_codes_left": 0,
    }
    assert error_of(await prove(browser, "123456")) == (409, "second_factor_not_set_up")


async def test_it_is_set_up_and_proved_in_every_new_session(
    world: World, url: str, browser: httpx.AsyncClient, operator_id: UUID
) -> None:
    app, recovery_codes = await set_up(browser)
    assert len(set(recovery_codes)) == 10
    assert (await browser.get("/admin/companies")).status_code == 200
    async with http_client(url, session=await add_session(world, operator_id)) as another:
        assert error_of(await another.get("/admin/companies")) == REQUIRED
        assert (await prove(another, app.code())).status_code == 204
        assert (await another.get("/admin/companies")).status_code == 200
        shown = (await another.get("/auth/second-factor")).json()
        assert (shown["is_set_up"], shown["recovery_codes_left"]) == (True, 10)
    rows = await world.rows(
        "SELECT action, actor_kind FROM audit_log WHERE actor_user_id = $1 AND action LIKE 'second%' ORDER BY at",
        operator_id,
    )
    assert [row["action"] for row in rows] == ["second_factor.set_up", "second_factor.prove"]


async def test_a_code_works_once_and_no_earlier_one_after_it(
    world: World, url: str, browser: httpx.AsyncClient, operator_id: UUID
) -> None:
    app, _ = await set_up(browser)
    first = app.code()
    assert (await prove(browser, first)).status_code == 204
    async with http_client(url, session=await add_session(world, operator_id)) as thief:
        assert error_of(await prove(thief, first)) == WRONG
        assert error_of(await prove(thief, app.code_at(datetime.now(UTC) - timedelta(minutes=2)))) == WRONG
        assert error_of(await thief.get("/admin/companies")) == REQUIRED
    refused = await world.row(
        "SELECT reason, sum(count) AS counted FROM audit_log WHERE actor_user_id = $1 AND outcome = 'refused' "
        "AND action = 'second_factor.prove' GROUP BY reason",
        operator_id,
    )
    assert refused["reason"] == "second_factor_wrong"


async def test_a_recovery_code_works_once(browser: httpx.AsyncClient) -> None:
    _, recovery_codes = await set_up(browser)
    assert (await prove(browser, recovery_codes[3])).status_code == 204
    assert error_of(await prove(browser, recovery_codes[3])) == WRONG
    assert (await browser.get("/auth/second-factor")).json()["recovery_codes_left"] == 9
    for malformed in ("12345", "1234567", "abcd-efgh", "١٢٣٤٥٦", recovery_codes[4].upper()):
        assert error_of(await prove(browser, malformed)) == (400, "invalid_request")


async def test_guesses_are_limited_for_an_account_and_for_an_hour(
    world: World, url: str, browser: httpx.AsyncClient, operator_id: UUID
) -> None:
    app, recovery_codes = await set_up(browser)
    for _ in range(10):
        assert error_of(await prove(browser, "aaaa-aaaa-aaaa-aaaa")) == WRONG
    async with http_client(url, session=await add_session(world, operator_id)) as another:
        for code in (app.code(), recovery_codes[0]):
            limited = await prove(another, code)
            assert error_of(limited) == (429, "rate_limited")
            assert 3500 < int(limited.headers["retry-after"]) <= 3601
        async with http_client(url, session=await add_session(world, (await add_operator(world))[0])) as colleague:
            await set_up(colleague)
        await world.rows(
            "UPDATE second_factors SET wrong_at = ARRAY(SELECT at - interval '1 hour' FROM unnest(wrong_at) AS at) "
            "WHERE user_id = $1",
            operator_id,
        )
        assert (await prove(another, recovery_codes[0])).status_code == 204


async def test_a_wrong_code_confirms_nothing_and_counts(browser: httpx.AsyncClient) -> None:
    begun = (await browser.post("/auth/second-factor/enrolment")).json()
    app = Authenticator(begun["secret"])
    assert begun["uri"].startswith("otpauth://totp/b2b-chat:")
    confirmation = "/auth/second-factor/enrolment/confirmation"
    wrong = f"{(int(app.code()) + 500_000) % 1_000_000:06d}"
    for _ in range(10):
        assert error_of(await browser.post(confirmation, json={"code": wrong})) == WRONG
    assert error_of(await browser.post(confirmation, json={"code": app.code()})) == (429, "rate_limited")
    assert (await browser.get("/auth/second-factor")).json()["is_set_up"] is False


async def test_another_one_takes_a_fresh_proof_of_the_one_before(
    world: World, browser: httpx.AsyncClient, operator_id: UUID
) -> None:
    old, old_codes = await set_up(browser)
    await world.rows("UPDATE sessions SET proved_at = now() - interval '601 seconds' WHERE user_id = $1", operator_id)
    assert error_of(await browser.post("/auth/second-factor/enrolment")) == (403, "step_up_required")
    assert (await prove(browser, old.code())).status_code == 204
    begun = (await browser.post("/auth/second-factor/enrolment")).json()
    assert (await prove(browser, old_codes[0])).status_code == 204  # the one before counts until then
    new = Authenticator(begun["secret"])
    confirmed = await browser.post("/auth/second-factor/enrolment/confirmation", json={"code": new.code()})
    assert confirmed.status_code == 200
    for void in (old.code(), old_codes[1]):
        assert error_of(await prove(browser, void)) == WRONG
    assert (await prove(browser, new.code())).status_code == 204


async def test_who_needs_none_sets_up_none(world: World, url: str) -> None:
    user_id, _ = await add_user(world)
    async with http_client(url, session=await add_session(world, user_id)) as browser:
        assert error_of(await browser.post("/auth/second-factor/enrolment")) == (409, "second_factor_not_needed")
    async with http_client(url, key=(await add_operator(world))[1]) as program:
        assert error_of(await program.get("/auth/second-factor")) == (403, "session_required")
        assert (await program.get("/admin/companies")).status_code == 200


async def test_nothing_of_it_is_readable_at_rest_and_a_rotation_seals_it_anew(
    world: World, browser: httpx.AsyncClient, operator_id: UUID
) -> None:
    begun = (await browser.post("/auth/second-factor/enrolment")).json()
    app = Authenticator(begun["secret"])
    await browser.post("/auth/second-factor/enrolment/confirmation", json={"code": app.code()})
    before = await world.row("SELECT * FROM second_factors WHERE user_id = $1", operator_id)
    assert begun["secret"] not in str(before)
    old = product_settings()
    rotated = structs.replace(old, auth_token_secret=Secret("f" * 32), auth_token_secret_previous=old.auth_token_secret)
    factors = SecondFactors(transaction_factory(world.database), rotated)
    await factors.reseal()
    after = await world.row("SELECT * FROM second_factors WHERE user_id = $1", operator_id)
    assert after["sealed_under"] != before["sealed_under"]
    without_previous = structs.replace(rotated, auth_token_secret_previous=None)
    await SecondFactors(transaction_factory(world.database), without_previous).reseal()
    again = await world.row("SELECT * FROM second_factors WHERE user_id = $1", operator_id)
    assert again["sealed"] == after["sealed"]
    # Back, as the other tests' servers know the old secret alone.
    back = structs.replace(old, auth_token_secret_previous=Secret("f" * 32))
    await SecondFactors(transaction_factory(world.database), back).reseal()
    assert (await prove(browser, app.code())).status_code == 204
