"""Accepting invites into a company."""

import asyncio
from collections import Counter

import httpx
import pytest

from b2b_chat.kit.settings import Secret
from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import client_of, error_of, served_product
from support.product.invites import accept, an_address, invite, listed
from support.product.sessions import add_session, add_user, http_client, invite_token, letters_to


async def test_an_invited_person_joins_and_acts_there(
    world: World, product_url: str, owner: Person, http: httpx.AsyncClient
) -> None:
    email = an_address()
    shown = await invite(http, email.upper(), "admin")
    assert (shown["email"], shown["role"], shown["state"]) == (email, "admin", "pending")
    assert shown["invited_by"] == str(owner.user_id)
    (letter,) = await letters_to(world, email)
    assert letter["company"] == "A company"
    assert letter["inviter"] == f"{owner.user_id}@example.test"
    assert letter["link"].startswith("http://127.0.0.1:8000/invites/accept#")

    user = await world.row("SELECT id FROM users WHERE email = $1", email)
    session = await add_session(world, user["id"])
    async with http_client(product_url, session=session) as theirs:
        assert error_of(await theirs.get("/v1/balance")) == (403, "no_company")
        joined = await theirs.post("/v1/invites/accept", json={"token": await invite_token(world, email)})
        assert joined.status_code == 200, joined.text
        assert joined.json() == {"company_id": str(owner.company_id), "company_name": "A company", "role": "admin"}
        assert (await theirs.get("/v1/balance")).status_code == 200
    assert (await listed(http))[email] == "accepted"


async def test_a_token_presented_100_times_at_once_admits_once(
    world: World, product_url: str, owner: Person, http: httpx.AsyncClient
) -> None:
    user_id, email = await add_user(world)
    await invite(http, email)
    token = await invite_token(world, email)
    session = await add_session(world, user_id)
    async with http_client(product_url, session=session) as theirs:
        answers = await asyncio.gather(*[theirs.post("/v1/invites/accept", json={"token": token}) for _ in range(100)])
    assert Counter(answer.status_code for answer in answers) == {200: 1, 404: 99}
    assert {error_of(answer) for answer in answers if answer.status_code == 404} == {(404, "invite_not_found")}
    rows = await world.rows("SELECT company_id FROM memberships WHERE user_id = $1", user_id)
    assert rows == [{"company_id": owner.company_id}]
    recorded = await world.rows(
        "SELECT outcome FROM audit_log WHERE action = 'invite.accept' AND actor_user_id = $1", user_id
    )
    assert recorded == [{"outcome": "ok"}]


async def test_only_the_invited_address_can_accept(world: World, product_url: str, http: httpx.AsyncClient) -> None:
    user_id, email = await add_user(world)
    stranger_id, _ = await add_user(world)
    await invite(http, email)
    token = await invite_token(world, email)
    refused = await accept(product_url, await add_session(world, stranger_id), token)
    assert error_of(refused) == (404, "invite_not_found")
    assert (await accept(product_url, await add_session(world, user_id), token)).status_code == 200


async def test_accepting_needs_a_person_signed_in(
    world: World, product_url: str, owner: Person, http: httpx.AsyncClient
) -> None:
    email = an_address()
    await invite(http, email)
    token = await invite_token(world, email)
    async with http_client(product_url) as nobody:
        assert error_of(await nobody.post("/v1/invites/accept", json={"token": token})) == (401, "unauthenticated")
    async with client_of(product_url, owner) as client:
        by_key = await client.http.post("/v1/invites/accept", json={"token": token})
    assert error_of(by_key) == (403, "session_required")


@pytest.mark.parametrize("token", ["x", "A" * 43, "é", "../" * 20])
async def test_an_unknown_token_is_refused(world: World, product_url: str, token: str) -> None:
    user_id, _ = await add_user(world)
    refused = await accept(product_url, await add_session(world, user_id), token)
    assert error_of(refused) == (404, "invite_not_found")


async def test_an_invite_survives_the_rotation_of_its_secret_once(
    world: World, database_url: str, gateway: FakeGateway
) -> None:
    first, second, third = (Secret(f"{letter}0d1975be80c3a4f62a7e4f0b3952c6d8") for letter in "abc")
    invited = [await add_user(world) for _ in range(2)]
    owner = await world.person(role="owner")
    async with (
        served_product(database_url, gateway.url, invite_token_secret=first) as url,
        client_of(url, owner) as by_owner,
    ):
        for _, email in invited:
            await invite(by_owner.http, email)
        tokens = [await invite_token(world, email) for _, email in invited]
    sessions = [await add_session(world, user_id) for user_id, _ in invited]

    rotated = {"invite_token_secret": second, "invite_token_secret_previous": first}
    async with served_product(database_url, gateway.url, **rotated) as url:
        assert (await accept(url, sessions[0], tokens[0])).status_code == 200
    rotated_twice = {"invite_token_secret": third, "invite_token_secret_previous": second}
    async with served_product(database_url, gateway.url, **rotated_twice) as url:
        assert error_of(await accept(url, sessions[1], tokens[1])) == (404, "invite_not_found")


async def test_two_companies_may_invite_one_person(world: World, product_url: str, http: httpx.AsyncClient) -> None:
    user_id, email = await add_user(world)
    other = await world.person(role="owner")
    async with client_of(product_url, other) as theirs:
        await invite(http, email)
        first = await invite_token(world, email)
        await invite(theirs.http, email)
        second = await invite_token(world, email)
    session = await add_session(world, user_id)
    assert (await accept(product_url, session, first)).status_code == 200
    assert (await accept(product_url, session, second)).status_code == 200
    async with http_client(product_url, session=session) as person:
        me = (await person.get("/v1/me")).json()
    assert len(me["companies"]) == 2
    assert me["company"]["id"] == str(other.company_id)


async def test_a_member_is_not_invited_nor_joins_twice(
    world: World, product_url: str, owner: Person, http: httpx.AsyncClient
) -> None:
    user_id, email = await add_user(world)
    shown = await invite(http, email)
    token = await invite_token(world, email)
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')", owner.company_id, user_id
    )
    refused = await accept(product_url, await add_session(world, user_id), token)
    assert error_of(refused) == (409, "already_member")
    assert (await listed(http))[email] == "pending"
    await http.delete(f"/v1/company/invites/{shown['id']}")
    again = await http.post("/v1/company/invites", json={"email": email, "role": "member"})
    assert error_of(again) == (409, "already_member")


async def test_a_blocked_company_admits_no_one(
    world: World, product_url: str, owner: Person, http: httpx.AsyncClient
) -> None:
    user_id, email = await add_user(world)
    await invite(http, email)
    await world.rows("UPDATE companies SET blocked_at = now() WHERE id = $1", owner.company_id)
    refused = await accept(product_url, await add_session(world, user_id), await invite_token(world, email))
    assert error_of(refused) == (403, "company_blocked")
    state = await world.row("SELECT state FROM invites WHERE email = $1", email)
    assert state == {"state": "pending"}


async def test_accepting_and_revoking_at_once_have_one_winner(
    world: World, product_url: str, http: httpx.AsyncClient
) -> None:
    for _ in range(10):
        user_id, email = await add_user(world)
        shown = await invite(http, email)
        session, token = await add_session(world, user_id), await invite_token(world, email)
        accepted, revoked = await asyncio.gather(
            accept(product_url, session, token), http.delete(f"/v1/company/invites/{shown['id']}")
        )
        outcome = (accepted.status_code, revoked.status_code)
        assert outcome in {(200, 409), (404, 204)}
        rows = await world.rows("SELECT FROM memberships WHERE user_id = $1", user_id)
        assert len(rows) == (outcome == (200, 409))
