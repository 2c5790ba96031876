"""Inviting people into a company: making, mailing, resending and revoking invites."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import client_of, error_of, served_product
from support.product.invites import accept, an_address, invite, listed, pass_time
from support.product.sessions import add_session, add_user, http_client, invite_token, letters_to


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
