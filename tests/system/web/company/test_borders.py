"""What the pages of a company show to whom, and that nothing in them runs."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from support.browser.chromium import opened_page
from support.browser.console import row_of
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.app import client_of
from support.product.sessions import add_session, add_user, session_client


async def test_a_member_sees_their_own_pages_and_no_admin_page(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    member = await world.person(company_id=person.company_id)
    async with client_of(stack.url, person) as client:
        await client.ask()
    session = await add_session(world, member.user_id, member.company_id)
    async with opened_page(browser, stack.url, session) as page:
        await page.goto("/company")
        await expect(page.locator(".sections a")).to_have_text(["Overview", "Usage", "Ledger", "Your sessions"])
        await page.goto("/company/usage")
        await expect(page.locator("#answers")).to_have_text("0")
        await expect(page.locator("#people")).to_have_count(0)
        for path in ("/company/members", "/company/keys", "/company/audit", "/operator/users"):
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 403
            await expect(page.locator("h1")).to_have_text("This page is not for you")


async def test_another_companys_admin_sees_nothing_of_this_one(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    member = await world.person(company_id=person.company_id)
    async with client_of(stack.url, person) as client:
        await client.ask("Hello")
        await client.http.post("/v1/company/invites", json={"email": f"of-{person.user_id}@x.test", "role": "member"})
    async with session_client(stack.url, world, person) as http:
        key = (await http.post("/v1/company/api-keys", json={"name": "theirs", "scopes": ["read"]})).json()
    secrets = [str(person.company_id), str(person.user_id), str(member.user_id), key["api_key"]["id"], "theirs"]
    stranger = await world.person(role="owner")
    session = await add_session(world, stranger.user_id, stranger.company_id)
    async with opened_page(browser, stack.url, session) as page:
        for section in ("", "/members", "/invites", "/keys", "/usage", "/ledger", "/audit", "/sessions"):
            await page.goto(f"/company{section}")
            shown = await page.content()
            assert [secret for secret in secrets if secret in shown] == []
        await page.goto(f"/company/usage?user_id={member.user_id}")
        await expect(page.locator("#answers")).to_have_text("0")
        await page.goto(f"/company/audit?user_id={person.user_id}")
        await expect(page.get_by_text("Nothing found.")).to_be_visible()


@pytest_asyncio.fixture(loop_scope="session")
async def hostile(world: World, person: Person) -> AsyncIterator[str]:
    """A person whose own names, and names given to others, would run if they were not shown as text."""
    attack = "\"'><img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
    await world.rows("UPDATE companies SET name = $2 WHERE id = $1", person.company_id, attack)
    await world.rows("UPDATE users SET email = $2 WHERE id = $1", person.user_id, f"{attack}{person.user_id}@x.test")
    await world.rows("UPDATE api_keys SET name = $2 WHERE user_id = $1", person.user_id, attack)
    await world.rows("UPDATE sessions SET user_agent = $2 WHERE user_id = $1", person.user_id, attack)
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", person.user_id)
    guest, _ = await add_user(world, f"<svg/onload=window.hacked=1>-{person.user_id}@x.test")
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')", person.company_id, guest
    )
    yield attack


async def test_hostile_names_run_nothing(
    page: Page, stack: FaultStack, world: World, person: Person, hostile: str
) -> None:
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(stack.url) else foreign.append(request.url))
    async with client_of(stack.url, person) as client:
        await client.ask("Hello")
    async with session_client(stack.url, world, person) as http:
        await http.post("/v1/company/api-keys", json={"name": hostile, "scopes": ["read"]})
    await add_session(world, person.user_id, person.company_id)
    await world.rows("UPDATE sessions SET user_agent = $2 WHERE user_id = $1", person.user_id, hostile)
    paths = [f"/company{each}" for each in ("", "/members", "/invites", "/keys", "/usage", "/ledger", "/audit")]
    paths += ["/company/sessions", "/operator/companies", f"/operator/companies/{person.company_id}"]
    paths += [f"/operator/users?company_id={person.company_id}", f"/operator/audit?company_id={person.company_id}"]
    paths += ["/operator/companies?search=%3Cimg%20src=x%20onerror=window.hacked=1%3E", "/"]
    for path in paths:
        answer = await page.goto(path)
        assert answer is not None
        assert answer.ok, path
        assert await page.evaluate("'hacked' in window") is False
        assert await page.locator("img, main script, [onerror], [onload]").count() == 0
    await page.goto("/company/keys")
    await row_of(page, "onerror").first.get_by_role("button").click()
    await expect(page.locator("#confirm")).to_contain_text("<img src=x onerror=window.hacked=1>")
    assert await page.evaluate("'hacked' in window") is False
    assert foreign == []
