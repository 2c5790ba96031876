"""How the pages look and weigh: accessible by axe's rules, at three sizes in both themes, and light."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from support.browser import signed_in
from support.fault_stack import FaultStack
from support.looks import SIZES, THEMES, violations
from support.product import client_of
from support.sessions import add_session
from support.world import Person, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAX_FIRST_PAGE_BYTES: Final = 60 * 1024
MARKDOWN: Final = (
    "%23 Title%0A%0A|a|b|%0A|-|-|%0A|1|2|%0A%0A```python%0Aprint(1)%0A```%0A%0A- one%0A- [two](https://a.example)"
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where the pictures go: SCREENSHOTS_DIR, for those who want to keep them."""
    folder = Path(os.environ.get("SCREENSHOTS_DIR", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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


async def test_every_page_at_every_size_in_both_themes(
    browser: Browser, stack: FaultStack, session: str, thread: str, pictures: Path
) -> None:
    problems: list[str] = []
    async with signed_in(browser, stack.url, session) as context:
        page = await context.new_page()
        for size, (width, height) in SIZES.items():
            await page.set_viewport_size({"width": width, "height": height})
            for theme in THEMES:
                await page.emulate_media(color_scheme=theme)
                for name, path in {"sign-in": "/sign-in", "new": "/", "conversation": thread}.items():
                    await page.goto(path)
                    picture = await page.screenshot(path=pictures / f"{name}-{size}-{theme}.png")
                    assert picture.startswith(b"\x89PNG")
                    overflow = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
                    found = await violations(page) + (["wider than the window"] if overflow else [])
                    problems += [f"{name}, {size}, {theme}: {each}" for each in found]
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
    async with signed_in(browser, stack.url, session) as context:
        page = await context.new_page()
        received: dict[str, int] = {}
        headers: dict[str, str] = {}

        async with page.expect_event("load"):
            page.on(
                "response", lambda response: headers.update({response.url: response.headers.get("cache-control", "")})
            )
            await page.goto(thread)
        await expect(page.locator("#text")).to_be_focused()
        for url in headers:
            body = await context.request.get(url)
            received[url] = len(await body.body())
        assert sum(received.values()) <= MAX_FIRST_PAGE_BYTES
        assert len(received) >= 8
        page_headers = {url: value for url, value in headers.items() if "/assets/" not in url}
        assert set(page_headers.values()) == {"no-store"}
        assert {value for url, value in headers.items() if "/assets/" in url} == {"public, max-age=31536000, immutable"}


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
