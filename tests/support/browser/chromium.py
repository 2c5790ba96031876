"""A real Chromium, driven by Playwright; the system provides the browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from support.processes.programs import needed_tool

_QUIET: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the browser. Without one the test is skipped, or fails in CI, which installs one."""
    found = needed_tool("chromium", "chromium-browser", "google-chrome", package="chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=list(_QUIET))
        yield browser
        await browser.close()


@asynccontextmanager
async def signed_in(
    browser: Browser, url: str, session: str, *, language: str = "en-GB"
) -> AsyncIterator[BrowserContext]:
    """A person's own browser window, with the session's cookie."""
    context = await browser.new_context(base_url=url, locale=language)
    await context.add_cookies([{"name": "session", "value": session, "url": url}])
    yield context
    await context.close()


@asynccontextmanager
async def opened_page(browser: Browser, url: str, session: str, *, language: str = "en-GB") -> AsyncIterator[Page]:
    """A signed-in person's page; whatever its console complains of is an error."""
    async with signed_in(browser, url, session, language=language) as context:
        page = await context.new_page()
        complaints: list[str] = []

        def listen(message: ConsoleMessage) -> None:
            # The browser itself reports failed requests, which some tests cause.
            if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
                complaints.append(message.text)

        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        assert complaints == []
