"""Sends that meet while the run of their message is being given up."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering
from support.network.protocols import Statements, StatementTrap
from support.network.proxy import Proxy, listening
from support.processes.waiting import until
from support.product.app import Client, served_product

SAME = {"client_message_id": "same"}
FAIL = "SET status = 'error'"
FIND_SENT = "asked.client_message_id = $3"
SOCKET = ".s.PGSQL.5432"


@pytest.fixture(scope="module")
def statements() -> Statements:
    return Statements()


@pytest.fixture(scope="module")
def socket_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="b2b-") as folder:  # a socket's path must be short
        yield Path(folder)


@pytest_asyncio.fixture(scope="module")
async def product_url(
    database_url: str, module_gateway: FakeGateway, statements: Statements, socket_folder: Path
) -> AsyncIterator[str]:
    """A product that gives a run up once it has no reader, with a proxy before its database."""
    parts = urlsplit(database_url)
    server = Path(parse_qs(parts.query)["host"][0]) / SOCKET
    behind_proxy = parts._replace(query=f"host={socket_folder}").geturl()
    async with (
        listening(Proxy(server, watch=statements), socket_folder / SOCKET),
        served_product(behind_proxy, module_gateway.url, chat_resume_window_seconds=0) as url,
    ):
        yield url


async def answer_of(client: Client, *, stream: bool) -> dict[str, Any]:
    """Send the message and return its whole answer."""
    return (await client.stream(**SAME))[-1].data if stream else await client.ask(**SAME)


@pytest.mark.parametrize("sends", [1, 2, 5])
@pytest.mark.parametrize("stream", [False, True])
async def test_sends_that_meet_meanwhile_all_get_the_next_answer(
    client: Client,
    gateway: FakeGateway,
    world: World,
    person: Person,
    statements: Statements,
    sends: int,
    stream: bool,
) -> None:
    gateway.reply = Gate()
    failing = statements.trap = StatementTrap(FAIL, after=True)
    async with client.streaming(**SAME) as events:
        await anext(events)
        await gateway.call()
    await asyncio.wait_for(failing.sprung.wait(), 10)

    async def has_failed() -> bool:
        return bool((await world.answer(person))["status"] == "error")

    await until(has_failed)
    gateway.reply = answering()
    finding = statements.trap = StatementTrap(FIND_SENT, after=False, skip=sends - 1)
    asking = [asyncio.create_task(answer_of(client, stream=stream)) for _ in range(sends)]
    await asyncio.wait_for(finding.sprung.wait(), 10)  # the last of them asks the database what it knows
    finding.release(cut=False)
    await asyncio.sleep(0.1)  # and all of them wait for the run that is given up
    failing.release(cut=False)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*asking)
    assert [(answer["status"], answer["text"]) for answer in answers] == [("completed", ANSWER)] * sends
    assert len(gateway.calls) == 2
    assert len(await world.ledger(person)) == 2
    await world.check_books()
