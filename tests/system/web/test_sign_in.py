"""Signing in by mail in a browser: by the code, by the link, in both languages."""

import re
from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from support.browser.chromium import signed_in
from support.database.conversations import add_turns
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.mailbox import Mailbox
from support.product.sessions import add_session

ACCOUNT: Final = {"en": "sign in in this browser as", "ru": "войти в этом браузере как"}
ELSEWHERE: Final = {"en": "This browser did not ask", "ru": "Ссылку запросили не в этом браузере"}
LIMITED: Final = {"en": "Too many attempts", "ru": "Слишком много попыток"}
WRONG: Final = {"en": "does not work", "ru": "не подходит или уже не действует"}
OFFLINE: Final = {"en": "No connection", "ru": "Нет связи"}
IN_BOTH: Final = pytest.mark.parametrize(("language", "locale"), [("en", "en-GB"), ("ru", "ru-RU")])


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, stack: FaultStack) -> AsyncIterator[Page]:
    """A person who is not signed in."""
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
    await visitor.fill("#code", "0000 0000")
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
    await expect(visitor.locator("#account")).to_contain_text(email)
    await expect(visitor.locator("#elsewhere")).to_be_hidden()
    await visitor.click("button")
    await expect(visitor.locator(".me")).to_contain_text(email, timeout=10_000)
    assert asked
    assert [url for url in asked if token in url.partition("#")[0]] == [], "a token in an address reached a server"


@IN_BOTH
async def test_a_link_of_another_persons_account_is_seen_as_one(
    browser: Browser, mails: Mailbox, stack: FaultStack, world: World, person: Person, language: str, locale: str
) -> None:
    """Whoever sends somebody a link to sign in as themselves, to read what is then written there, is noticed."""
    email = await address_of(world, person)
    before = len(mails.to(email))
    async with httpx.AsyncClient(base_url=stack.url) as attacker:
        assert (await attacker.post("/auth/request-link", json={"email": email})).status_code == 202
    token = (str((await mails.mail_to(email, number=before + 1)).link)).partition("#")[2]
    context = await browser.new_context(base_url=stack.url, locale=locale)
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"/auth/verify#{token}")
    await expect(page.locator("#account")).to_contain_text(f"{ACCOUNT[language]} {email}")
    await expect(page.locator("#elsewhere")).to_contain_text(ELSEWHERE[language])
    assert not [url for url in asked if url.endswith("/auth/verify") and "#" not in url][1:], "it signed in by itself"
    await page.click("#by-link button")
    await expect(page.locator(".me")).to_contain_text(email, timeout=10_000)
    await context.close()


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


@IN_BOTH
async def test_what_goes_wrong_is_explained(
    browser: Browser, stack: FaultStack, mails: Mailbox, world: World, person: Person, language: str, locale: str
) -> None:
    """Offline, a wrong code, a code that was ended by wrong ones, and too many attempts."""
    product = stack.new_product(stack.new_port(), LOGIN_RPM_PER_IP="7")
    await product.start()
    context = await browser.new_context(base_url=product.url, locale=locale)
    try:
        email = await address_of(world, person)
        page = await context.new_page()
        status = page.locator("#status")
        await page.goto("/sign-in")
        await context.set_offline(True)
        await page.fill("#email", email)
        await page.press("#email", "Enter")
        await expect(status).to_contain_text(OFFLINE[language])
        await context.set_offline(False)
        await page.press("#email", "Enter")
        await expect(page.locator("#code")).to_be_focused()
        code = (await mails.mail_to(email)).code
        assert code is not None
        wrong = f"{(int(code) + 1) % 100_000_000:08d}"
        for _ in range(5):
            await page.fill("#code", wrong)
            async with page.expect_response("**/auth/verify"):
                await page.press("#code", "Enter")
            await expect(status).to_contain_text(WRONG[language])
            await expect(page.locator("#code")).to_be_focused()
            await expect(page.locator("#code")).to_have_attribute("aria-invalid", "true")
        # Ended, the right code says the same, and what to do.
        await page.fill("#code", code)
        await page.press("#code", "Enter")
        await expect(status).to_contain_text(WRONG[language])
        for _ in range(2):
            async with page.expect_response("**/auth/verify"):
                await page.press("#code", "Enter")
        await expect(status).to_contain_text(LIMITED[language])
        await page.click("#again")
        await expect(page.locator("#email")).to_be_focused()
        await expect(page.locator("#email")).to_have_value(email)
    finally:
        await context.close()
        stack.end_others()


@IN_BOTH
async def test_what_goes_wrong_with_a_link_is_explained(
    browser: Browser, stack: FaultStack, language: str, locale: str
) -> None:
    product = stack.new_product(stack.new_port(), LOGIN_RPM_PER_IP="4")
    await product.start()
    context = await browser.new_context(base_url=product.url, locale=locale)
    try:
        page = await context.new_page()
        shown = await page.goto("/auth/verify#a-token-that-is-none")
        assert shown is not None
        assert "require-trusted-types-for 'script'; trusted-types b2b-chat" in shown.headers["content-security-policy"]
        await expect(page.locator("#refused")).to_be_visible()
        # While the server is not reached, nobody is shown, and the button asks again.
        await page.route("**/auth/link", lambda route: route.abort())
        await page.goto("/auth/verify#another-that-is-none")
        await expect(page.locator("#failed")).to_be_visible()
        await page.unroute("**/auth/link")
        await page.click("#by-link button")
        await expect(page.locator("#refused")).to_be_visible()
        await expect(page.locator("html")).to_have_attribute("lang", language)
        # What is left is the code, or the way to a new mail.
        await page.fill("#email", "nobody@example.test")
        await page.fill("#code", "12345678")
        for _ in range(3):
            async with page.expect_response("**/auth/verify"):
                await page.click("#by-code button")
        await expect(page.locator("#limited")).to_be_visible()
        await page.goto("/auth/verify#a-third-one")
        await expect(page.locator("#limited")).to_be_visible()
    finally:
        await context.close()
        stack.end_others()


async def test_fields_are_what_password_managers_and_screen_readers_look_for(visitor: Page) -> None:
    await visitor.goto("/sign-in")
    await expect(visitor.locator("#email")).to_be_focused()
    email = visitor.get_by_role("textbox", name="Mail address")
    assert await email.get_attribute("autocomplete") == "username"
    assert await email.get_attribute("type") == "email"
    await email.fill("nobody@example.test")
    await visitor.keyboard.press("Enter")
    code = visitor.get_by_role("textbox", name="Code from the mail")
    await expect(code).to_be_focused()
    assert await code.get_attribute("autocomplete") == "one-time-code"
    assert await code.get_attribute("inputmode") == "numeric"
    await expect(code).to_have_accessible_description(re.compile("Follow the link in it, or type its code"))
    await code.fill(" 1234 5678 ")  # as people read it out
    await visitor.keyboard.press("Enter")
    await expect(visitor.locator("#status")).to_contain_text("does not work")
    await expect(code).to_have_accessible_description(re.compile("does not work"))


async def test_a_person_who_opened_a_conversation_returns_to_it_after_sign_in(
    visitor: Page, mails: Mailbox, stack: FaultStack, world: World, person: Person
) -> None:
    conversation = await add_turns(world, person, 1)
    await visitor.goto(f"/c/{conversation}")
    await expect(visitor).to_have_url(f"{stack.url}/sign-in#/c/{conversation}")
    email = await address_of(world, person)
    await visitor.fill("#email", email)
    await visitor.press("#email", "Enter")
    code = (await mails.mail_to(email)).code
    assert code is not None
    await visitor.fill("#code", code)
    await visitor.press("#code", "Enter")
    await expect(visitor).to_have_url(f"{stack.url}/c/{conversation}")
    await expect(visitor.locator("li.user")).to_contain_text("Question 1")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/.//evil.example/", "javascript:alert(1)", "\\\\evil"]
)
async def test_no_sign_in_redirects_to_another_site(
    visitor: Page, mails: Mailbox, stack: FaultStack, world: World, person: Person, elsewhere: str
) -> None:
    email = await address_of(world, person)
    await visitor.goto(f"/sign-in#{elsewhere}")
    await visitor.fill("#email", email)
    await visitor.press("#email", "Enter")
    code = (await mails.mail_to(email)).code
    assert code is not None
    await visitor.fill("#code", code)
    async with visitor.expect_navigation():
        await visitor.press("#code", "Enter")
    assert visitor.url.startswith(f"{stack.url}/")


async def test_signed_out_the_way_back_shows_nothing(
    browser: Browser, stack: FaultStack, world: World, person: Person
) -> None:
    conversation = await add_turns(world, person, 1)
    session = await add_session(world, person.user_id, person.company_id)
    async with signed_in(browser, stack.url, session) as context:
        page = await context.new_page()
        await page.goto(f"/c/{conversation}")
        await page.fill("#text", "a draft")
        await page.click("[data-sign-out]")
        await expect(page).to_have_url(re.compile("/sign-in$"))
        assert await page.evaluate("sessionStorage.length") == 0
        await page.go_back()
        await expect(page).to_have_url(re.compile("/sign-in"))
        assert "Question 1" not in await page.content()


async def test_the_switch_is_remembered_by_the_page_behind_a_link_too(browser: Browser, stack: FaultStack) -> None:
    context = await browser.new_context(base_url=stack.url, locale="ru-RU")
    page = await context.new_page()
    await page.goto("/sign-in")
    await page.select_option("[name=language]", "en")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await page.goto("/auth/verify#x")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await context.close()
