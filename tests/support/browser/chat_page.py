"""The chat page as a person uses it, and what must be true of it at the end."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Page, expect

from support.browser.chromium import opened_page
from support.database.world import Person, World
from support.product.sessions import add_session


@asynccontextmanager
async def chat_page(
    browser: Browser, url: str, world: World, person: Person, *, language: str = "en-GB"
) -> AsyncIterator[Page]:
    """A signed-in person's page; any complaint on its console fails the test."""
    session = await add_session(world, person.user_id, person.company_id)
    async with opened_page(browser, url, session, language=language) as page:
        yield page


async def say(page: Page, text: str) -> None:
    """Type a message and send it by Enter."""
    await page.fill("#text", text)
    await page.press("#text", "Enter")


def words_of(text: str) -> list[str]:
    """Return the words, which Markdown does not change."""
    return re.findall(r"\w+", text)


async def shown_answer(page: Page, number: int = 1) -> str:
    """The text of an answer, once it is there in its last form."""
    answer = page.locator("li.assistant .markdown").nth(number - 1)
    await expect(answer).to_be_visible(timeout=30_000)
    return (await answer.inner_text()).strip()


async def stored(world: World, person: Person) -> list[tuple[str, str]]:
    """The states and texts of a person's messages, oldest first."""
    rows = await world.rows("SELECT status, text FROM messages WHERE user_id = $1 ORDER BY id", person.user_id)
    return [(row["status"], row["text"]) for row in rows]


async def check_once(page: Page, world: World, person: Person) -> None:
    """Check that there is one question and one answer, shown as stored and paid for once."""
    shown = await shown_answer(page)
    (_, (status, text)) = await stored(world, person)
    assert status == "completed"
    assert words_of(shown) == words_of(text), f"a word is lost or repeated: {shown!r} is shown of {text!r}"
    assert await page.locator("li.user").count() == await page.locator("li.assistant").count() == 1
    charges = [entry for entry in await world.ledger(person) if entry["kind"] == "charge"]
    assert len(charges) == 1
