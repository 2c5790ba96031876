"""The sizes, themes and accessibility rules (axe) by which pages are checked."""

from typing import Final, Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

SIZES: Final = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


async def violations(page: Page) -> list[str]:
    """The rules of accessibility that a page breaks, with the elements that do."""
    found = await Axe().run(page)
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found.response["violations"]]
