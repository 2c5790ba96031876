"""A second factor in the browser: set up after signing in, proved again before keys, over real processes."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from support.browser.chromium import opened_page
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.authenticator import Authenticator
from support.product.sessions import add_session


@pytest_asyncio.fixture(loop_scope="session")
async def owner(world: World) -> Person:
    """The owner of a company that asks a second factor of its admins."""
    owner = await world.person(role="owner")
    await world.rows("UPDATE companies SET needs_second_factor = true WHERE id = $1", owner.company_id)
    return owner


@pytest_asyncio.fixture(loop_scope="session")
async def desk(browser: Browser, stack: FaultStack, world: World, owner: Person) -> AsyncIterator[Page]:
    await stack.heal()
    session = await add_session(world, owner.user_id, owner.company_id)
    async with opened_page(browser, stack.url, session) as page:
        yield page


async def app_of(page: Page) -> Authenticator:
    """The app of a person who types in the secret that the page shows."""
    await expect(page.locator("#secret")).not_to_have_value("")
    return Authenticator(await page.locator("#secret").input_value())


async def test_it_is_set_up_and_asked_again_before_a_key_is_made(desk: Page, world: World, owner: Person) -> None:
    await desk.goto("/company/keys")
    await expect(desk.locator("h1")).to_have_text("Second factor")
    await desk.get_by_role("button", name="Set it up").click()
    app = await app_of(desk)
    assert (await desk.locator("#uri").get_attribute("href") or "").startswith("otpauth://totp/")
    confirm = desk.locator("#confirm")
    await confirm.get_by_label("Code").fill("000000")
    await confirm.get_by_role("button", name="Confirm").click()
    await expect(desk.locator("#status")).to_contain_text("wrong or was used")
    await confirm.get_by_label("Code").fill(app.code())
    await confirm.get_by_role("button", name="Confirm").click()
    codes = desk.locator("#recovery-codes li")
    await expect(codes).to_have_count(10)
    recovery_code = await codes.first.inner_text()
    await desk.get_by_role("button", name="I have kept them").click()
    await expect(desk.locator("h1")).to_have_text("API keys")

    await world.rows("UPDATE sessions SET proved_at = now() - interval '1 hour' WHERE user_id = $1", owner.user_id)
    await desk.get_by_label("Name").fill("robot")
    make = desk.get_by_role("main").get_by_role("button", name="Make a key")
    await make.click()
    dialog = desk.locator("#step-up")
    await expect(dialog).to_be_visible()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(desk.get_by_role("alert").first).to_contain_text("second factor")
    await make.click()
    await dialog.get_by_label("Code").fill("aaaa-aaaa-aaaa-aaaa")
    await dialog.get_by_role("button", name="Go on").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("wrong or was used")
    await dialog.get_by_label("Code").fill(f" {recovery_code.upper()} ")
    await desk.keyboard.press("Enter")
    await expect(desk.locator("#new-key")).to_be_visible()
    assert (await desk.locator("#key").input_value()).startswith("b2b_")


async def test_the_next_sign_in_asks_for_a_code(
    desk: Page, browser: Browser, stack: FaultStack, world: World, owner: Person
) -> None:
    await desk.goto("/")
    await desk.get_by_role("button", name="Set it up").click()
    app = await app_of(desk)
    await desk.locator("#confirm").get_by_label("Code").fill(app.code())
    await desk.locator("#confirm").get_by_role("button", name="Confirm").click()
    await expect(desk.locator("#recovery-codes li")).to_have_count(10)
    session = await add_session(world, owner.user_id, owner.company_id)
    async with opened_page(browser, stack.url, session) as page:
        await page.goto("/company/members")
        code = app.code()
        await page.locator("#prove").get_by_label("Code").fill(f"{code[:3]} {code[3:]}")
        await page.get_by_role("button", name="Go on").click()
        await expect(page.locator("h1")).to_have_text("Members")
