"""Signing in by mail in a browser: by the code, by the link, in both languages."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from support.fault_stack import FaultStack
from support.mailbox import Mailbox
from support.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, stack: FaultStack) -> AsyncIterator[Page]:
    """Somebody who is not signed in."""
    context = await browser.new_context(base_url=stack.url, locale="en-GB")
    yield await context.new_page()
    await context.close()


async def address_of(world: World, person: Person) -> str:
    email: str = (await world.row("SELECT email FROM users WHERE id = $1", person.user_id))["email"]
    return email


async def test_by_the_code(visitor: Page, mails: Mailbox, world: World, person: Person) -> None:
    email = await address_of(world, person)
    await visitor.goto("/")
    await expect(visitor).to_have_url(re.compile("/sign-in$"))
    await visitor.fill("#email", email)
    await visitor.press("#email", "Enter")
    await expect(visitor.locator("#code")).to_be_focused()
    await visitor.fill("#code", "000000")
    await visitor.press("#code", "Enter")
    await expect(visitor.locator("#status")).to_contain_text("does not work")
    code = (await mails.mail_to(email)).code
    assert code is not None
    await visitor.fill("#code", code)
    await visitor.press("#code", "Enter")
    await expect(visitor.locator("#text")).to_be_focused(timeout=10_000)
    await expect(visitor.locator(".me")).to_contain_text(email)
    await visitor.click("[data-sign-out]")
    await expect(visitor).to_have_url(re.compile("/sign-in$"))
    await visitor.goto("/")
    await expect(visitor).to_have_url(re.compile("/sign-in$"))


async def test_by_the_link(visitor: Page, mails: Mailbox, stack: FaultStack, world: World, person: Person) -> None:
    email = await address_of(world, person)
    await visitor.goto("/sign-in")
    await visitor.fill("#email", email)
    await visitor.press("#email", "Enter")
    link = (await mails.mail_to(email)).link
    assert link is not None
    token = link.partition("#")[2]
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url))
    await visitor.goto(f"{stack.url}/auth/verify#{token}")
    await visitor.click("button")
    await expect(visitor.locator(".me")).to_contain_text(email, timeout=10_000)
    assert asked
    assert [url for url in asked if token in url.partition("#")[0]] == [], "a token in an address reached a server"


async def test_the_language_follows_the_browser_and_the_switch(browser: Browser, stack: FaultStack) -> None:
    context = await browser.new_context(base_url=stack.url, locale="ru-RU")
    page = await context.new_page()
    await page.goto("/sign-in")
    await expect(page.locator("h1")).to_have_text("Вход")
    await page.select_option("[name=language]", "en")
    await expect(page.locator("h1")).to_have_text("Sign in")
    await page.goto("/sign-in")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await context.close()
