"""The pages of a company's admins and of operators, as a person uses them."""

import asyncio
from pathlib import Path
from uuid import UUID

from playwright.async_api import Download, Locator, Page, expect

from support.database.world import World


def row_of(page: Page, text: str) -> Locator:
    """Return the table rows that contain a text."""
    return page.get_by_role("row").filter(has_text=text)


async def press(row: Locator, name: str) -> None:
    """Click a button of a row."""
    await row.get_by_role("button", name=name).click()


async def confirm(page: Page) -> None:
    """Answer the page's question by yes."""
    await page.locator("#confirm [value=yes]").click()


async def status_says(page: Page, text: str) -> None:
    """Expect what the page reports in the region that screen readers read out."""
    await expect(page.locator("#status")).to_contain_text(text, timeout=10_000)


async def email_of(world: World, user_id: UUID) -> str:
    """Return a person's address."""
    email: str = (await world.row("SELECT email FROM users WHERE id = $1", user_id))["email"]
    return email


async def saved(download: Download) -> str:
    """Return the text of a downloaded file."""
    path: Path = await download.path()
    return await asyncio.to_thread(path.read_text)
