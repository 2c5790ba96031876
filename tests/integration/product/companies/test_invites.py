"""Inviting people into a company, and letting them in."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from b2b_chat.kit.settings import Secret
from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import client_of, error_of, served_product
from support.product.sessions import add_session, add_user, http_client, invite_token, letters_to


def an_address() -> str:
    return f"{uuid4()}@example.test"


@pytest_asyncio.fixture
async def owner(world: World) -> Person:
    return await world.person(role="owner")


@pytest_asyncio.fixture
async def http(world: World, product_url: str, owner: Person) -> AsyncIterator[httpx.AsyncClient]:
    session = await add_session(world, owner.user_id, owner.company_id)
    async with http_client(product_url, session=session) as http:
        yield http


async def invite(http: httpx.AsyncClient, email: str, role: str = "member", **more: object) -> dict[str, str]:
    answer = await http.post("/v1/company/invites", json={"email": email, "role": role, **more})
    assert answer.status_code == 201, answer.text
    shown: dict[str, str] = answer.json()
    return shown


async def accept(url: str, session: str, token: str) -> httpx.Response:
    async with http_client(url, session=session) as http:
        return await http.post("/v1/invites/accept", json={"token": token})


async def listed(http: httpx.AsyncClient) -> dict[str, str]:
    """The states of the company's invites by address."""
    items = (await http.get("/v1/company/invites", params={"limit": 100})).json()["items"]
    return {item["email"]: item["state"] for item in items}


async def pass_time(world: World, invite_id: str) -> None:
    """Let an invite's time be over."""
    await world.rows("UPDATE invites SET expires_at = $2 WHERE id = $1", UUID(invite_id), datetime.now(UTC))


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


async def test_resending_rotates_the_token(world: World, product_url: str, http: httpx.AsyncClient) -> None:
    user_id, email = await add_user(world)
    shown = await invite(http, email)
    first = await invite_token(world, email)
    again = (await http.post(f"/v1/company/invites/{shown['id']}/resend")).json()
    assert again["id"] == shown["id"]
    assert again["expires_at"] > shown["expires_at"]
    second = await invite_token(world, email)
    assert second != first
    session = await add_session(world, user_id)
    assert error_of(await accept(product_url, session, first)) == (404, "invite_not_found")
    assert (await accept(product_url, session, second)).status_code == 200


async def test_a_revoked_invite_admits_no_one_and_stays_revoked(
    world: World, product_url: str, http: httpx.AsyncClient
) -> None:
    user_id, email = await add_user(world)
    shown = await invite(http, email)
    assert (await http.delete(f"/v1/company/invites/{shown['id']}")).status_code == 204
    assert (await listed(http))[email] == "revoked"
    session = await add_session(world, user_id)
    assert error_of(await accept(product_url, session, await invite_token(world, email))) == (404, "invite_not_found")
    assert error_of(await http.delete(f"/v1/company/invites/{shown['id']}")) == (409, "invite_closed")
    assert error_of(await http.post(f"/v1/company/invites/{shown['id']}/resend")) == (409, "invite_closed")
    await invite(http, email)


async def test_an_expired_invite_admits_no_one_until_it_is_resent(
    world: World, product_url: str, http: httpx.AsyncClient
) -> None:
    user_id, email = await add_user(world)
    shown = await invite(http, email)
    await pass_time(world, shown["id"])
    assert (await listed(http))[email] == "expired"
    session = await add_session(world, user_id)
    assert error_of(await accept(product_url, session, await invite_token(world, email))) == (404, "invite_not_found")
    assert (await http.post(f"/v1/company/invites/{shown['id']}/resend")).json()["state"] == "pending"
    assert (await accept(product_url, session, await invite_token(world, email))).status_code == 200


async def test_an_address_has_one_open_invite_of_a_company(world: World, http: httpx.AsyncClient) -> None:
    email = an_address()
    shown = await invite(http, email)
    again = await http.post("/v1/company/invites", json={"email": email.upper(), "role": "member"})
    assert error_of(again) == (409, "already_invited")
    await pass_time(world, shown["id"])
    await invite(http, email)
    assert error_of(await http.post(f"/v1/company/invites/{shown['id']}/resend")) == (409, "already_invited")
    assert len(await letters_to(world, email)) == 2


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


@pytest.mark.parametrize(
    ("inviter", "role", "allowed"),
    [
        ("admin", "member", True),
        ("admin", "admin", True),
        ("admin", "owner", False),
        ("owner", "owner", True),
    ],
)
async def test_no_one_invites_above_their_own_role(
    world: World, product_url: str, inviter: str, role: str, *, allowed: bool
) -> None:
    person = await world.person(role=inviter)
    session = await add_session(world, person.user_id, person.company_id)
    async with http_client(product_url, session=session) as http:
        answer = await http.post("/v1/company/invites", json={"email": an_address(), "role": role})
    if allowed:
        assert answer.status_code == 201
    else:
        assert error_of(answer) == (403, "role_too_low")


async def test_an_admin_neither_resends_nor_revokes_an_owners_invite(
    world: World, product_url: str, owner: Person, http: httpx.AsyncClient
) -> None:
    shown = await invite(http, an_address(), "owner")
    admin = await world.person(role="admin", company_id=owner.company_id)
    async with client_of(product_url, admin) as client:
        path = f"/v1/company/invites/{shown['id']}"
        assert error_of(await client.http.post(f"{path}/resend")) == (403, "role_too_low")
        assert error_of(await client.http.delete(path)) == (403, "role_too_low")


async def test_a_member_may_not_invite(world: World, product_url: str) -> None:
    member = await world.person(role="member")
    async with client_of(product_url, member) as client:
        refused = await client.http.post("/v1/company/invites", json={"email": an_address(), "role": "member"})
    assert error_of(refused) == (403, "scope_missing")


async def test_open_invites_are_capped_even_when_made_at_once(http: httpx.AsyncClient) -> None:
    await asyncio.gather(*[invite(http, an_address()) for _ in range(95)])
    bodies = [{"email": an_address(), "role": "member"} for _ in range(10)]
    answers = await asyncio.gather(*[http.post("/v1/company/invites", json=body) for body in bodies])
    assert Counter(answer.status_code for answer in answers) == {201: 5, 409: 5}
    assert {error_of(answer) for answer in answers if answer.status_code == 409} == {(409, "too_many_invites")}
    accepted = next(answer.json() for answer in answers if answer.status_code == 201)
    assert (await http.delete(f"/v1/company/invites/{accepted['id']}")).status_code == 204
    await invite(http, an_address())


async def test_a_company_has_only_so_many_invites_mailed_an_hour(
    world: World, database_url: str, module_gateway: FakeGateway
) -> None:
    owner = await world.person(role="owner")
    async with (
        served_product(database_url, module_gateway.url, invite_mails_per_company_hour=3) as url,
        client_of(url, owner) as client,
    ):
        email = an_address()
        shown = await invite(client.http, email)
        for _ in range(2):
            assert (await client.http.post(f"/v1/company/invites/{shown['id']}/resend")).status_code == 200
        refused = await client.http.post(f"/v1/company/invites/{shown['id']}/resend")
        assert error_of(refused) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) > 3000
        again = await client.http.post("/v1/company/invites", json={"email": an_address(), "role": "member"})
        assert error_of(again) == (429, "rate_limited")
    assert len(await letters_to(world, email)) == 3


async def test_one_address_invited_many_times_at_once_gets_one_letter(world: World, http: httpx.AsyncClient) -> None:
    email = an_address()
    body = {"email": email, "role": "member"}
    answers = await asyncio.gather(*[http.post("/v1/company/invites", json=body) for _ in range(20)])
    statuses = Counter(answer.status_code for answer in answers)
    # Those that come while the first one is being made may be one too many for the mailbox.
    assert statuses[201] == 1
    assert statuses[409] + statuses[429] == 19
    assert len(await letters_to(world, email)) == 1


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


@pytest.mark.parametrize(
    ("language", "header", "expected"),
    [("ru", "en", "ru"), (None, "en-GB,en;q=0.8", "en"), (None, "", "ru")],
)
async def test_the_letter_is_in_the_language_asked_for(
    world: World, http: httpx.AsyncClient, language: str | None, header: str, expected: str
) -> None:
    email = an_address()
    body = {"email": email, "role": "member", "language": language}
    answer = await http.post("/v1/company/invites", json=body, headers={"Accept-Language": header})
    assert answer.status_code == 201
    mail = await world.row("SELECT template, language, useful_until FROM mails WHERE recipient = $1", email)
    assert (mail["template"], mail["language"]) == ("invite", expected)
    assert mail["useful_until"] > datetime.now(UTC) + timedelta(days=6)


async def test_a_token_is_kept_only_as_a_hash(world: World, http: httpx.AsyncClient) -> None:
    email = an_address()
    await invite(http, email)
    token = await invite_token(world, email)
    dump = await world.rows("SELECT invites::text, mails::text FROM invites, mails WHERE invites.email = recipient")
    assert dump
    assert token not in str(dump)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "someone@example.test"},
        {"email": "no address", "role": "member"},
        {"email": "someone@example.test", "role": "king"},
        {"email": "someone@example.test", "role": "member", "state": "accepted"},
        {"email": "someone@example.test", "role": "member", "language": "de"},
    ],
)
async def test_a_body_that_is_no_invite_is_refused(http: httpx.AsyncClient, body: dict[str, str]) -> None:
    assert error_of(await http.post("/v1/company/invites", json=body)) == (400, "invalid_request")


async def test_the_page_behind_the_link_changes_nothing(
    world: World, product_url: str, http: httpx.AsyncClient
) -> None:
    email = an_address()
    await invite(http, email)
    async with http_client(product_url) as browser:
        token = await invite_token(world, email)
        for method in ("GET", "HEAD", "OPTIONS"):
            for target in ("/invites/accept", f"/invites/accept#{token}"):
                assert (await browser.request(method, target)).status_code in {200, 204}
    assert (await listed(http))[email] == "pending"
