"""API keys and sessions on the pages of a company."""

import re

from playwright.async_api import Browser, Page, expect

from support.browser.chromium import opened_page
from support.browser.console import confirm, press, row_of, status_says
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.sessions import add_session, http_client


async def test_a_key_is_shown_once_works_and_is_refused_once_revoked(page: Page, stack: FaultStack) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto("/company/keys")
    await page.get_by_label("Name").fill("nightly")
    for scope in ("Chat", "Read"):
        await page.get_by_label(scope, exact=True).uncheck()
    await page.get_by_role("button", name="Make a key").click()
    await expect(page.get_by_role("alert")).to_contain_text("at least one")
    await page.get_by_label("Read", exact=True).check()
    await page.get_by_label("Expires").select_option("30")
    await page.get_by_role("button", name="Make a key").click()
    dialog = page.locator("#new-key")
    await expect(dialog).to_be_visible()
    key = await page.locator("#key").input_value()
    await dialog.get_by_role("button", name="Copy").click()
    await expect(dialog.get_by_role("status")).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == key
    await dialog.get_by_role("button", name="Close").click()
    row = row_of(page, "nightly")
    await expect(row).to_contain_text("Read")
    assert key not in await page.content()
    async with http_client(stack.url, key=key) as program:
        assert (await program.get("/v1/balance")).status_code == 200
        assert (await program.post("/v1/chat", json={"client_message_id": "1", "text": "x"})).status_code == 403
        await press(row, "Revoke")
        await confirm(page)
        await status_says(page, "revoked")
        await expect(row).to_contain_text("Revoked")
        assert (await program.get("/v1/balance")).status_code == 401


async def test_a_session_elsewhere_is_ended(
    page: Page, browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    session = await add_session(world, person.user_id, person.company_id)
    await world.rows("UPDATE sessions SET user_agent = 'A lost phone' WHERE user_id = $1", person.user_id)
    async with opened_page(browser, stack.url, session) as elsewhere:
        await elsewhere.goto("/company/sessions")
        await expect(elsewhere.get_by_text("This browser", exact=True)).to_have_count(1)
        await page.goto("/company/sessions")
        await page.get_by_role("button", name="End").click()
        await confirm(page)
        await status_says(page, "ended")
        await expect(page.get_by_role("button", name="End")).to_have_count(0)
        await elsewhere.reload()
        await expect(elsewhere).to_have_url(re.compile("/sign-in#/company/sessions$"))


async def test_who_signed_in_long_ago_is_led_to_sign_in_again(page: Page, world: World, person: Person) -> None:
    await add_session(world, person.user_id, person.company_id)
    await world.rows("UPDATE sessions SET created_at = now() - interval '1 hour' WHERE user_id = $1", person.user_id)
    await page.goto("/company/sessions")
    await page.get_by_role("button", name="End").click()
    await confirm(page)
    await expect(page.locator("#confirm-text")).to_contain_text("sign in again")
    await confirm(page)
    await expect(page).to_have_url(re.compile("/sign-in#/company/sessions$"))


async def test_a_member_of_several_companies_switches_between_them(page: Page, world: World, person: Person) -> None:
    other = await world.person(role="owner")
    await world.rows("UPDATE companies SET name = 'The other' WHERE id = $1", other.company_id)
    await world.rows(
        "INSERT INTO memberships (company_id, user_id, role) VALUES ($1, $2, 'member')",
        other.company_id,
        person.user_id,
    )
    await page.goto("/company")
    await press(row_of(page, "The other"), "Act here")
    await status_says(page, "another company")
    await expect(page.locator("h1")).to_have_text("The other")
    await expect(page.locator(".sections a")).to_have_text(["Overview", "Usage", "Ledger", "Your sessions"])


async def test_a_lost_connection_is_shown_and_nothing_is_sent_twice(page: Page, world: World, person: Person) -> None:
    await page.goto("/company/keys")
    await page.context.set_offline(True)
    await page.get_by_label("Name").fill("offline")
    await page.get_by_role("button", name="Make a key").click()
    await expect(page.get_by_role("alert")).to_contain_text("No connection")
    await page.context.set_offline(False)
    await page.evaluate("for (let i = 0; i < 5; i += 1) document.querySelector('form.panel').requestSubmit()")
    await expect(page.locator("#new-key")).to_be_visible()
    named = await world.rows("SELECT 1 FROM api_keys WHERE company_id = $1 AND name = 'offline'", person.company_id)
    assert len(named) == 1
