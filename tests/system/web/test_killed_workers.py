"""A worker is killed in mid-answer, with one worker and with two: the page says what became of it, and goes on."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import psutil
import pytest
from playwright.async_api import Browser, Page, expect

from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.browser.chat_page import chat_page, check_once, say
from support.database.world import Person, World
from support.faults.processes import Part
from support.faults.stack import FaultStack
from support.processes.waiting import until

SLOW: Final = "Hello [[simulate: tokens=120; tps=20]]"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def product_of(stack: FaultStack, valkey: EmbeddedValkey, workers: int) -> AsyncIterator[Part]:
    """A product_api of so many workers, all of them serving."""
    shared = {"VALKEY_URL": valkey.url} if workers > 1 else {}
    product = stack.new_product(stack.new_port(), WORKERS=str(workers), **shared)
    await product.start()
    try:
        await until_all_serve(product, workers)
        yield product
    finally:
        stack.end_others()


async def until_all_serve(product: Part, workers: int) -> None:
    async def there_are() -> bool:
        return len(workers_of(product)) == workers

    await until(there_are, timeout_seconds=30)


def workers_of(product: Part) -> list[psutil.Process]:
    """The processes that talk to the database."""
    return [each for each in product.processes[1:] if _connections(each, "unix")]


def _connections(process: psutil.Process, kind: str) -> list[object]:
    try:
        return [each for each in process.net_connections(kind) if kind == "unix" or each.status == "ESTABLISHED"]
    except psutil.NoSuchProcess:
        return []


def writer_of(product: Part, stack: FaultStack) -> psutil.Process:
    """The worker that talks to the gateway."""
    port = int(stack.gateway_url.rpartition(":")[2])
    (writer,) = [
        each
        for each in workers_of(product)
        if any(line.status == "ESTABLISHED" and line.raddr.port == port for line in each.net_connections("tcp"))
    ]
    return writer


async def begin_answer(page: Page) -> None:
    await page.goto("/")
    await say(page, SLOW)
    await expect(page.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_writer_is_shown_and_the_message_retried_once(
    browser: Browser, stack: FaultStack, world: World, person: Person, valkey: EmbeddedValkey, workers: int
) -> None:
    async with (
        product_of(stack, valkey, workers) as product,
        chat_page(browser, product.url, world, person) as page,
    ):
        await begin_answer(page)
        writer_of(product, stack).kill()
        await expect(page.locator("li.assistant .failure")).to_contain_text("restarted", timeout=30_000)
        assert [entry["kind"] for entry in await world.ledger(person)] == ["top_up"], "what failed costs nothing"
        await page.click("[data-retry]")
        await check_once(page, world, person)
        assert (await world.account(person))["held_credits"] == 0
        # What was killed is replaced, so that the next one finds as many.
        await until_all_serve(product, workers)


async def test_killing_a_worker_that_is_not_the_writer_goes_unnoticed(
    browser: Browser, stack: FaultStack, world: World, person: Person, valkey: EmbeddedValkey
) -> None:
    """Whichever worker the page reached: a reload in between may reach another."""
    async with product_of(stack, valkey, 2) as product, chat_page(browser, product.url, world, person) as page:
        await begin_answer(page)
        writer = writer_of(product, stack)
        await page.reload()
        await expect(page.locator("li.assistant.live .text")).not_to_have_text("", timeout=10_000)
        (other,) = [each for each in workers_of(product) if each.pid != writer.pid]
        other.kill()
        await check_once(page, world, person)
        assert writer.is_running()
        assert (await world.account(person))["held_credits"] == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_every_worker_is_killed_and_the_page_waits(
    browser: Browser, stack: FaultStack, world: World, person: Person, valkey: EmbeddedValkey, workers: int
) -> None:
    async with (
        product_of(stack, valkey, workers) as product,
        chat_page(browser, product.url, world, person) as page,
    ):
        await begin_answer(page)
        for each in workers_of(product):
            each.kill()
        await expect(page.locator("li.assistant .failure")).to_contain_text("restarted", timeout=30_000)
        await page.reload()
        await page.click("[data-retry]")
        await check_once(page, world, person)
        assert (await world.account(person))["held_credits"] == 0
