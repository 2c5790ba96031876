"""How the pages for admins and operators look: accessible by axe's rules, at three sizes in both themes."""

from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from support.browser.chromium import opened_page
from support.browser.looks import SIZES, THEMES, violations
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.app import client_of
from support.product.sessions import add_session, session_client

PATHS: Final = {
    "company": "/company",
    "members": "/company/members",
    "invites": "/company/invites",
    "keys": "/company/keys",
    "masking": "/company/masking",
    "usage": "/company/usage",
    "ledger": "/company/ledger",
    "audit": "/company/audit",
    "sessions": "/company/sessions",
    "operator-companies": "/operator/companies",
    "operator-company": "/operator/companies/{company_id}",
    "operator-users": "/operator/users",
    "operator-audit": "/operator/audit",
    "operator-health": "/operator/health",
    "denied": "/operator/companies?cursor=x",
}


@pytest_asyncio.fixture(loop_scope="session")
async def person(stack: FaultStack, world: World) -> Person:
    """An owner and operator with something on every page, long names among it."""
    await stack.heal()
    person = await world.person(role="owner")
    await world.rows("UPDATE companies SET name = $2 WHERE id = $1", person.company_id, "Donaudampfschiff" * 8)
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", person.user_id)
    member = await world.person(company_id=person.company_id)
    long_name = f"{'a' * 60}{member.user_id}@example.test"
    await world.rows("UPDATE users SET email = $2 WHERE id = $1", member.user_id, long_name)
    await world.rows("UPDATE memberships SET blocked_at = now() WHERE user_id = $1", member.user_id)
    other = await world.person()
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')",
        other.company_id,
        person.user_id,
    )
    async with client_of(stack.url, person) as client:
        await client.ask("Hello from Arkadiy Vetrov, arkadiy@example.com")
        await client.http.post("/v1/company/invites", json={"email": f"{uuid4()}@example.test", "role": "member"})
    async with session_client(stack.url, world, person) as http:
        key = (await http.post("/v1/company/api-keys", json={"name": "k" * 100, "scopes": ["read"]})).json()
        await http.delete(f"/v1/company/api-keys/{key['api_key']['id']}")
    return person


@pytest.mark.parametrize("size", SIZES)
async def test_every_page_in_both_themes(
    browser: Browser, stack: FaultStack, world: World, person: Person, pictures: Path, size: str
) -> None:
    problems: list[str] = []
    session = await add_session(world, person.user_id, person.company_id)
    await add_session(world, person.user_id, person.company_id)
    async with opened_page(browser, stack.url, session) as page:
        width, height = SIZES[size]
        await page.set_viewport_size({"width": width, "height": height})
        for theme in THEMES:
            await page.emulate_media(color_scheme=theme)
            for name, path in PATHS.items():
                await page.goto(path.format(company_id=person.company_id))
                await page.screenshot(path=pictures / f"{name}-{size}-{theme}.png", full_page=True)
                overflow = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
                found = await violations(page) + (["wider than the window"] if overflow else [])
                problems += [f"{name}, {size}, {theme}: {each}" for each in found]
    assert problems == []


async def test_no_page_is_wider_than_any_window(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    problems: list[str] = []
    session = await add_session(world, person.user_id, person.company_id)
    async with opened_page(browser, stack.url, session) as page:
        for name, path in PATHS.items():
            await page.goto(path.format(company_id=person.company_id))
            for width in (320, 600, 990, 1010, 1190, 1210):
                await page.set_viewport_size({"width": width, "height": 800})
                if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    problems.append(f"{name} at {width}")
    assert problems == []


@pytest.mark.parametrize("theme", THEMES)
async def test_dialogs_and_failures(
    browser: Browser, stack: FaultStack, world: World, person: Person, theme: str
) -> None:
    session = await add_session(world, person.user_id, person.company_id)
    async with opened_page(browser, stack.url, session) as page:
        await page.emulate_media(color_scheme="light" if theme == "light" else "dark")
        await page.goto("/company/usage")
        await page.locator("summary").click()
        assert await violations(page) == []
        await page.goto("/company/members")
        await page.get_by_role("button", name="Remove").first.click()
        await expect(page.locator("#confirm")).to_be_visible()
        assert await violations(page) == []
        await page.keyboard.press("Escape")
        own = page.get_by_role("row").filter(has_text="You")
        await own.get_by_role("combobox").select_option("member")
        await own.get_by_role("button").click()
        await page.locator("#confirm [value=yes]").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        assert await violations(page) == []
        await page.goto("/company/keys")
        await page.get_by_label("Name").fill("x")
        await page.get_by_role("button", name="Make a key").click()
        await expect(page.locator("#new-key")).to_be_visible()
        assert await violations(page) == []


async def test_a_page_works_by_keyboard_alone(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    session = await add_session(world, person.user_id, person.company_id)
    async with opened_page(browser, stack.url, session) as page:
        await page.goto("/company/keys")
        await page.keyboard.press("Tab")
        await expect(page.get_by_text("To the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.type("by keyboard")
        await page.keyboard.press("Enter")
        await expect(page.locator("#key")).to_be_focused()
        await page.keyboard.press("Escape")
        row = page.get_by_role("row").filter(has_text="by keyboard")
        await row.get_by_role("button").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#confirm [value=no]")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(row).to_contain_text("Revoked")
