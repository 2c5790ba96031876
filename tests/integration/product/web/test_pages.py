"""Who gets which of the pages for admins and operators, and with which status."""

from typing import Final
from uuid import uuid4

import httpx
import pytest

from b2b_chat.product.web.console import COMPANY_SECTIONS, OPERATOR_SECTIONS
from support.database.world import World
from support.product.app import error_of
from support.product.operations import list_operations
from support.product.sessions import add_operator, add_session, add_user, http_client

FOR_ALL: Final = ["/company", "/company/sessions"]
FOR_MEMBERS: Final = ["/company/usage", "/company/ledger"]
FOR_ADMINS: Final = ["/company/members", "/company/invites", "/company/keys", "/company/masking", "/company/audit"]
FOR_OPERATORS: Final = [f"/operator/{section}" for section in OPERATOR_SECTIONS]
ENGLISH: Final = {"Accept-Language": "en"}
ALL: Final = [*FOR_ALL, *FOR_MEMBERS, *FOR_ADMINS, *FOR_OPERATORS]


def is_page(answer: httpx.Response, status: int) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "style=" not in answer.text
    assert "<script>" not in answer.text
    return True


async def test_all_pages_are_looked_at() -> None:
    paths = {each.path for each in list_operations() if each.path.startswith(("/company", "/operator"))}
    assert paths == {*ALL, "/operator", "/operator/companies/{company_id}"}
    assert len(COMPANY_SECTIONS) == len([*FOR_ALL, *FOR_MEMBERS, *FOR_ADMINS])


async def test_a_visitor_without_a_session_is_asked_to_sign_in(product_url: str) -> None:
    async with http_client(product_url) as browser:
        for path in [*ALL, "/operator", f"/operator/companies/{uuid4()}"]:
            answer = await browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (302, f"/sign-in#{path}")
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("role", ["member", "admin", "owner"])
async def test_each_role_gets_its_pages_and_the_ways_to_them(world: World, product_url: str, role: str) -> None:
    person = await world.person(role=role)
    allowed = [*FOR_ALL, *FOR_MEMBERS, *(FOR_ADMINS if role != "member" else [])]
    async with http_client(product_url, session=await add_session(world, person.user_id, person.company_id)) as browser:
        for path in ALL:
            answer = await browser.get(path, headers=ENGLISH)
            assert is_page(answer, 200 if path in allowed else 403)
            if path in allowed:
                shown = {each for each in ALL if f'href="{each}"' in answer.text}
                assert shown - {"/operator/companies"} == set(allowed)
            else:
                assert "This page is not for you" in answer.text


async def test_an_operator_gets_the_operators_pages(world: World, product_url: str) -> None:
    operator_id, key = await add_operator(world)
    company = await world.person()
    async with http_client(product_url, session=await add_session(world, operator_id)) as browser:
        answer = await browser.get("/operator")
        assert (answer.status_code, answer.headers["location"]) == (302, "/operator/companies")
        for path in [*FOR_OPERATORS, f"/operator/companies/{company.company_id}"]:
            answer = await browser.get(path)
            assert is_page(answer, 200)
            assert all(f'href="{each}"' in answer.text for each in FOR_OPERATORS)
        assert is_page(await browser.get("/parts/operator/health"), 200)
        assert is_page(await browser.get("/company"), 200)
        assert is_page(await browser.get("/company/members"), 403)
        assert is_page(await browser.get(f"/operator/companies/{uuid4()}"), 404)
        refused = await browser.get("/")
        assert is_page(refused, 403)
        assert 'href="/operator"' in refused.text
        assert f"{operator_id}@example.test" in refused.text
    async with http_client(product_url, key=key) as program:
        assert (await program.get("/operator/health")).status_code == 200


async def test_the_part_on_health_is_for_operators(world: World, product_url: str) -> None:
    person = await world.person(role="owner")
    async with http_client(product_url, session=await add_session(world, person.user_id, person.company_id)) as browser:
        assert error_of(await browser.get("/parts/operator/health")) == (403, "operator_required")


async def test_a_company_is_for_people_and_not_for_keys(world: World, product_url: str) -> None:
    person = await world.person(role="owner")
    async with http_client(product_url, key=person.api_key) as program:
        assert is_page(await program.get("/company/members"), 403)


@pytest.mark.parametrize(
    "path",
    [
        "/company/members?cursor=x",
        "/company/ledger?cursor=x",
        "/company/usage?days=0",
        "/company/usage?days=x",
        "/company/usage?last_day=x",
        "/company/usage?user_id=x",
        "/company/usage?cursor=x",
        "/company/audit?action=x",
        "/company/audit?first_day=x",
        "/company/audit?target=%00",
        "/operator/companies?search=%00",
        "/operator/companies?cursor=x",
        "/operator/users?company_id=x",
        "/operator/audit?user_id=x",
    ],
)
async def test_an_unknown_address_gets_an_error_page(world: World, product_url: str, path: str) -> None:
    person = await world.person(role="owner")
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", person.user_id)
    async with http_client(product_url, session=await add_session(world, person.user_id, person.company_id)) as browser:
        assert is_page(await browser.get(path), 400)


async def test_a_person_without_a_company_or_rights_sees_why(world: World, product_url: str) -> None:
    user_id, _ = await add_user(world)
    async with http_client(product_url, session=await add_session(world, user_id)) as browser:
        assert "You belong to no company yet" in (await browser.get("/company", headers=ENGLISH)).text
        assert is_page(await browser.get("/company/ledger"), 403)
    person = await world.person(role="owner")
    session = await add_session(world, person.user_id, person.company_id)
    await world.rows("UPDATE companies SET blocked_at = now() WHERE id = $1", person.company_id)
    async with http_client(product_url, session=session) as browser:
        page = await browser.get("/company", headers=ENGLISH)
        assert is_page(page, 200)
        assert "Your company is blocked" in page.text
        assert 'href="/company/members"' not in page.text
        assert is_page(await browser.get("/company/members"), 403)


async def test_a_member_cannot_see_another_members_usage(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    member = await world.person(company_id=owner.company_id)
    async with http_client(product_url, key=owner.api_key) as program:
        await program.post("/v1/chat", json={"client_message_id": "1", "text": "Hello"})
    async with http_client(product_url, session=await add_session(world, member.user_id, member.company_id)) as browser:
        page = (await browser.get("/company/usage", params={"user_id": str(owner.user_id)})).text
    assert '<dd id="answers">0</dd>' in page
    assert f"{owner.user_id}@" not in page


async def test_pages_speak_the_readers_language(world: World, product_url: str) -> None:
    person = await world.person(role="owner")
    async with http_client(product_url, session=await add_session(world, person.user_id, person.company_id)) as browser:
        page = await browser.get("/company/members", headers={"Accept-Language": "ru"})
        assert "Участники" in page.text
        assert "Accept-Language" in page.headers["vary"]


async def test_a_company_does_not_see_the_addresses_of_operators(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    operator_id, key = await add_operator(world)
    async with http_client(product_url, key=key) as program:
        body = {"amount_credits": "1", "external_id": str(uuid4())}
        await program.post(f"/admin/companies/{owner.company_id}/credits", json=body)
    async with http_client(product_url, session=await add_session(world, owner.user_id, owner.company_id)) as browser:
        page = (await browser.get("/company/audit", headers=ENGLISH)).text
    assert "Credits added" in page
    assert ">Operator</a>" in page
    assert f"{operator_id}@example.test" not in page
    async with http_client(product_url, session=await add_session(world, operator_id)) as browser:
        page = (await browser.get("/operator/audit", params={"company_id": str(owner.company_id)})).text
    assert f"{operator_id}@example.test" in page


async def test_the_chat_says_why_not_and_who_is_signed_in(world: World, product_url: str) -> None:
    user_id, email = await add_user(world)
    async with http_client(product_url, session=await add_session(world, user_id)) as browser:
        page = await browser.get("/", headers=ENGLISH)
        assert is_page(page, 403)
        assert "You belong to no company yet" in page.text
        assert email in page.text
        assert "data-sign-out" in page.text
    person = await world.person()
    async with http_client(product_url, session=await add_session(world, person.user_id, person.company_id)) as browser:
        assert is_page(await browser.get("/"), 200)
        page = await browser.get(f"/c/{uuid4()}", headers=ENGLISH)
        assert is_page(page, 404)
        assert "You have no such conversation" in page.text
    async with http_client(product_url) as browser:
        for path, way in (("/", "/sign-in"), ("/c/" + str(uuid4()), None)):
            answer = await browser.get(path)
            assert (answer.status_code, answer.headers["location"]) == (302, way or f"/sign-in#{path}")


async def test_a_defect_gets_an_error_page(world: World, product_url: str) -> None:
    owner = await world.person(role="owner")
    session = await add_session(world, owner.user_id, owner.company_id)
    await world.rows("ALTER TABLE ledger RENAME TO ledger_away")
    try:
        async with http_client(product_url, session=session) as browser:
            assert is_page(await browser.get("/company/ledger"), 500)
    finally:
        await world.rows("ALTER TABLE ledger_away RENAME TO ledger")
