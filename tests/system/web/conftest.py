"""The whole stack with proxies between its processes, a mail server, and a browser."""

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from support.browser.chat_page import chat_page
from support.browser.chromium import chromium
from support.database.world import Person, World, open_world
from support.faults.stack import FaultStack, fault_stack
from support.product.app import environ
from support.product.mailbox import Mailbox, mailbox

_KNOWN: tuple[str, ...] = ("SESSION_SECRET", "AUTH_TOKEN_SECRET", "INVITE_TOKEN_SECRET")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mails() -> AsyncIterator[Mailbox]:
    async with mailbox() as box:
        yield box


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(mails: Mailbox) -> AsyncIterator[FaultStack]:
    secrets = environ("", "")
    async with fault_stack(
        random.Random(),
        **{name: secrets[name] for name in _KNOWN},
        EMAIL_FROM="chat@example.test",
        SMTP_HOST="127.0.0.1",
        SMTP_PORT=str(mails.port),
        SMTP_USE_TLS="false",
        MAIL_POLL_SECONDS="0.1",
    ) as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(stack: FaultStack) -> AsyncIterator[World]:
    async with open_world(stack.postgres.url) as world:
        yield world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def person(stack: FaultStack, world: World) -> Person:
    await stack.heal()
    return await world.person()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, stack: FaultStack, world: World, person: Person) -> AsyncIterator[Page]:
    """A signed-in person's page; any complaint on its console fails the test."""
    async with chat_page(browser, stack.url, world, person) as page:
        yield page


@pytest.fixture
def pictures() -> Path:
    """Where the screenshots go, for people to look at: SCREENSHOTS_DIR, or a folder that git ignores."""
    folder = Path(os.environ.get("SCREENSHOTS_DIR") or Path(__file__).parents[3] / "artefacts" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
