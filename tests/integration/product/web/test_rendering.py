"""Rendering a person's messages holds up neither the event loop nor other people."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from uuid import UUID, uuid4

import httpx

from b2b_chat.kit.database import new_id
from b2b_chat.product.web import markdown
from b2b_chat.product.web.markdown_rules import MAX_CELLS
from support.database.world import Person, World
from support.product.sessions import add_session, http_client

ANSWERS = 8


def heavy(number: int) -> str:
    """A text of its own whose rendering takes long: as many cells as there may be."""
    columns = 48
    row = "|" + "a|" * columns
    return "\n".join(
        [f"Table {number} {uuid4()}", "", row, "|" + "-|" * columns, *[row] * (MAX_CELLS // (columns + 2) - 2)]
    )


async def add_conversation(world: World, person: Person) -> UUID:
    """A conversation whose answers take long to render."""
    conversation = uuid4()
    await world.rows(
        "INSERT INTO conversations (id, company_id, user_id, title) VALUES ($1, $2, $3, 'Heavy')",
        conversation,
        person.company_id,
        person.user_id,
    )
    for number in range(ANSWERS):
        asked, answer = new_id(), new_id()
        for message, role, text, reply_to in ((asked, "user", "?", None), (answer, "assistant", heavy(number), asked)):
            await world.rows(
                "INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, reply_to, "
                "completed_at) VALUES ($1, $2, $3, $4, $5, 'completed', $6, $7, now())",
                message,
                person.company_id,
                person.user_id,
                conversation,
                role,
                text,
                reply_to,
            )
    return conversation


def rendering_threads() -> int:
    """How many threads render a Markdown text now."""

    def renders(frame: FrameType | None) -> bool:
        while frame is not None:
            if frame.f_code is markdown._rendered.__code__:
                return True
            frame = frame.f_back
        return False

    return sum(renders(frame) for frame in sys._current_frames().values())


async def most_at_once(tasks: list[asyncio.Task[httpx.Response]]) -> int:
    """How many threads rendered at most at once while these requests were under way; the event loop looked."""
    most = looks = 0
    while not all(task.done() for task in tasks):
        most, looks = max(most, rendering_threads()), looks + 1
        await asyncio.sleep(0)
    assert looks > len(tasks)
    assert all(task.result().status_code == 200 for task in tasks)
    return most


@asynccontextmanager
async def browser_of(world: World, person: Person, url: str) -> AsyncIterator[httpx.AsyncClient]:
    session = await add_session(world, person.user_id, person.company_id)
    async with http_client(url, session=session) as browser:
        yield browser


async def test_the_event_loop_goes_on_while_a_page_is_rendered(world: World, product_url: str) -> None:
    person = await world.person()
    conversation = await add_conversation(world, person)
    async with browser_of(world, person, product_url) as browser, http_client(product_url) as other:
        page = asyncio.create_task(browser.get(f"/c/{conversation}"))
        while rendering_threads() == 0:
            assert not page.done(), "it was not rendered beside the event loop"
            await asyncio.sleep(0)
        assert (await other.get("/health")).status_code == 200
        assert not page.done()
        answer = await page
    assert answer.status_code == 200
    assert answer.text.count("<table>") == ANSWERS


async def test_pages_of_one_person_are_rendered_one_after_the_other(world: World, product_url: str) -> None:
    person = await world.person()
    paths = [f"/c/{await add_conversation(world, person)}" for _ in range(3)]
    async with browser_of(world, person, product_url) as browser:
        assert await most_at_once([asyncio.create_task(browser.get(path)) for path in paths]) == 1


async def test_a_persons_pages_wait_for_nobody_elses(world: World, product_url: str) -> None:
    one, other = await world.person(), await world.person()
    paths = [f"/c/{await add_conversation(world, person)}" for person in (one, other)]
    async with browser_of(world, one, product_url) as first, browser_of(world, other, product_url) as second:
        requests = zip((first, second), paths, strict=True)
        assert await most_at_once([asyncio.create_task(browser.get(path)) for browser, path in requests]) == 2


async def test_what_was_rendered_is_not_rendered_again(world: World, product_url: str) -> None:
    person = await world.person()
    path = f"/c/{await add_conversation(world, person)}"
    async with browser_of(world, person, product_url) as browser:
        first = await browser.get(path)
        rendered = markdown.render.cache_info().misses
        again = await browser.get(path)
    assert markdown.render.cache_info().misses == rendered
    assert again.text == first.text
