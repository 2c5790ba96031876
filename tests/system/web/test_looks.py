"""The pages' looks and weight: accessible by axe's rules, at three sizes in both themes, and light."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from support.browser.chat_page import say
from support.browser.chromium import signed_in
from support.browser.looks import SIZES, THEMES, violations
from support.database.world import Person, World
from support.faults.stack import FaultStack
from support.product.app import client_of
from support.product.sessions import add_session

MAX_FIRST_PAGE_BYTES: Final = 60 * 1024
NO_CREDITS: Final = json.dumps({"detail": {"code": "insufficient_credits", "message": "None."}})
WIDE: Final = "x = " + "a" * 300
MARKDOWN: Final = (
    "%23 Title%0A%0A|a|b|%0A|-|-|%0A|1|2|%0A%0A```python%0Aprint(1)%0A"
    + WIDE
    + "%0A```%0A%0A- one%0A- [two](https://a.example)"
)


@pytest_asyncio.fixture(loop_scope="session")
async def thread(stack: FaultStack, person: Person) -> str:
    """A conversation with a rich answer."""
    async with client_of(stack.url, person) as client:
        answer = await client.ask(f"Show me everything [[simulate: text={MARKDOWN}]]")
    path: str = f"/c/{answer['conversation_id']}"
    return path


@pytest_asyncio.fixture(loop_scope="session")
async def session(world: World, person: Person) -> AsyncIterator[str]:
    yield await add_session(world, person.user_id, person.company_id)


async def show_signing_in(page: Page) -> None:
    await page.goto("/sign-in")


async def show_code(page: Page) -> None:
    await page.goto("/sign-in")
    await page.fill("#email", "nobody@example.test")
    await page.press("#email", "Enter")
    await expect(page.locator("#code")).to_be_focused()
    await page.fill("#code", "123456")
    await page.press("#code", "Enter")
    await expect(page.locator("#status")).not_to_have_text("")


async def show_link(page: Page) -> None:
    await page.goto("about:blank")
    account = '{"email": "anna@example.test", "is_asked_for_here": false}'
    await page.route("**/auth/link", lambda route: route.fulfill(body=account), times=1)
    await page.goto("/auth/verify#a-token-that-is-none")
    await expect(page.locator("#elsewhere")).to_be_visible()


async def show_new(page: Page) -> None:
    await page.goto("/")


async def show_list(page: Page) -> None:
    await page.goto("/")
    await page.keyboard.press("Control+k")
    await expect(page.locator("#search")).to_be_focused()


async def show_streaming(page: Page) -> None:
    await page.goto("/")
    await say(page, "Hello [[simulate: tokens=200; tps=50]]")
    await page.wait_for_function("() => document.querySelector('.live .text')?.textContent.length > 150")
    await page.emulate_media(reduced_motion="reduce")  # so that the caret is in the picture


async def show_failure(page: Page) -> None:
    await page.goto("/")
    await page.route("**/v1/chat", lambda route: route.fulfill(status=402, body=NO_CREDITS), times=1)
    await say(page, "Hello")
    await expect(page.locator("#refused")).to_be_visible()


async def show_offline(page: Page) -> None:
    await page.goto("/")
    await page.route("**/v1/chat", lambda route: route.abort())
    await say(page, "Hello")
    await expect(page.locator("#status")).not_to_have_text("")
    await page.unroute("**/v1/chat")


async def show_nothing(page: Page) -> None:
    await page.goto("/c/01a217fa-2fdd-752b-b4db-387206776ccf")


async def show_reference(page: Page) -> None:
    await page.goto("/docs")


STATES: Final[dict[str, Callable[[Page], Awaitable[None]]]] = {
    "sign-in": show_signing_in,
    "code": show_code,
    "link": show_link,
    "new": show_new,
    "list": show_list,
    "streaming": show_streaming,
    "failure": show_failure,
    "offline": show_offline,
    "not-found": show_nothing,
    "reference": show_reference,
}
"""What there is to see beside a conversation."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
async def test_every_page_at_every_size_in_both_themes(
    browser: Browser,
    stack: FaultStack,
    session: str,
    thread: str,
    pictures: Path,
    size: str,
    theme: Literal["light", "dark"],
) -> None:
    """Accessible, within the window, and in a picture. Russian, whose words are longer, on phones and tablets."""
    problems: list[str] = []
    language = "en-GB" if size == "desktop" else "ru-RU"
    width, height = SIZES[size]

    async def show_conversation(page: Page) -> None:
        await page.goto(thread)

    states = {**STATES, "conversation": show_conversation}
    async with signed_in(browser, stack.url, session, language=language) as context:
        page = await context.new_page()
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=theme)
        for name, show in states.items():
            await show(page)
            picture = await page.screenshot(path=pictures / f"{name}-{size}-{theme}.png")
            assert picture.startswith(b"\x89PNG")
            overflow = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            found = await violations(page) + (["wider than the window"] if overflow else [])
            problems += [f"{name}: {each}" for each in found]
    assert problems == []


async def test_axe_can_find_something(browser: Browser, stack: FaultStack) -> None:
    context = await browser.new_context(base_url=stack.url)
    page = await context.new_page()
    await page.goto("/sign-in")
    await page.evaluate(
        "document.querySelector('h1').after(document.createElement('img'), document.createElement('button'))"
    )
    assert len(await violations(page)) >= 2
    await context.close()


async def test_the_first_page_is_light_and_private(
    browser: Browser, stack: FaultStack, session: str, thread: str
) -> None:
    """In bytes as they come over the wire, headers included, by the browser's own count, with nothing kept before."""
    async with signed_in(browser, stack.url, session) as context:
        page = await context.new_page()
        wire = await context.new_cdp_session(page)
        await wire.send("Network.enable")
        received: list[float] = []
        answers: list[dict[str, Any]] = []
        wire.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
        wire.on("Network.responseReceived", lambda event: answers.append(event["response"]))
        await page.goto(thread, wait_until="networkidle")
        await expect(page.locator("#text")).to_be_focused()
        assert len(received) == len(answers) >= 10
        assert 10_000 < sum(received) <= MAX_FIRST_PAGE_BYTES
        for answer in answers:
            headers = {name.lower(): value for name, value in answer["headers"].items()}
            is_asset = "/assets/" in answer["url"]
            kept = "public, max-age=31536000, immutable" if is_asset else "no-store"
            assert headers["cache-control"] == kept
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert headers["x-content-type-options"] == "nosniff"
            assert "content-encoding" not in headers or "accept-encoding" in headers["vary"].lower()
            if not is_asset:
                assert headers["content-encoding"] == "gzip"
                assert {"cookie", "accept-language"} <= set(headers["vary"].lower().replace(" ", "").split(","))
                assert "require-trusted-types-for 'script'" in headers["content-security-policy"]
        # Once more, the assets come from the browser's own store.
        received.clear()
        await page.goto(thread, wait_until="networkidle")
        assert sum(received) < 10_000


async def test_an_answer_shifts_nothing_while_it_is_written(
    browser: Browser, stack: FaultStack, session: str, thread: str
) -> None:
    """The browser's own measure: no element that is on the page moves while deltas come, except by scrolling."""
    async with signed_in(browser, stack.url, session) as context:
        page = await context.new_page()
        await page.goto(thread)
        await page.evaluate(
            "window.shifts = []; new PerformanceObserver((list) => shifts.push(...list.getEntries().filter("
            "(entry) => !entry.hadRecentInput).map((entry) => entry.value))).observe({ type: 'layout-shift' })"
        )
        await page.fill("#text", "Hello [[simulate: tokens=60; tps=40]]")
        await page.press("#text", "Enter")
        live = page.locator("li.assistant.live .text")
        await expect(live).not_to_have_text("", timeout=10_000)
        await page.wait_for_function("() => document.querySelector('li.assistant.live .text').innerText.length > 80")
        shifts: list[float] = await page.evaluate("shifts")
        assert sum(shifts) < 0.01
