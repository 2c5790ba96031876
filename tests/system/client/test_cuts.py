"""200 streams of the Python client through a proxy that cuts every connection at random: exact, and charged once each.

CLIENT_STREAMS is their number, and CLIENT_SEED the seed; both are printed.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import pytest_asyncio

from b2b_chat_client import AsyncB2BChat, B2BChat, Delta, Final, Start
from b2b_chat_client.events import StreamEvent
from support.database.world import Person, World
from support.faults.stack import FaultStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

STREAMS = int(os.environ.get("CLIENT_STREAMS", "200"))
AT_ONCE = 16
CUT_WITHIN_BYTES = 6_000
"""An answer of 60 tokens is about 7 kB of events, so that most are cut more than once."""
RETRIES = 30
"""The last event alone is 1 kB, which many connections in a row may be too short for."""


@dataclass
class Read:
    """What one reader had of one stream."""

    name: str
    events: list[StreamEvent]

    def check(self, stored: str) -> None:
        """It is the stored text in order, each character once, with one start and one end."""
        kinds = [type(event) for event in self.events if not isinstance(event, Delta)]
        assert kinds == [Start, Final], (self.name, kinds)
        assert "".join(event.text for event in self.events if isinstance(event, Delta)) == stored, self.name
        assert isinstance(self.events[-1], Final)
        assert self.events[-1].answer.text == stored, self.name


@pytest.fixture
def seed() -> int:
    seed = int(os.environ.get("CLIENT_SEED", str(random.SystemRandom().randrange(10_000))))
    print(f"CLIENT_SEED={seed} CLIENT_STREAMS={STREAMS}")  # noqa: T201 - shown when the test fails
    return seed


@pytest_asyncio.fixture(loop_scope="session")
async def cutting(stack: FaultStack, person: Person, seed: int) -> AsyncIterator[FaultStack]:
    del person  # it heals the stack first
    stack.client_line._rng.seed(seed)
    stack.client_line.replies.toxics.random_limit_bytes = CUT_WITHIN_BYTES
    yield stack
    stack.client_line.heal()


def question(number: int, rng: random.Random) -> str:
    return f"Question {number}, пожалуйста 🙂 [[simulate: tokens={rng.randrange(20, 100)}; tps={rng.choice([0, 200])}]]"


def read_in_threads(person: Person, url: str, questions: list[str]) -> list[Read]:
    with B2BChat(person.api_key, base_url=url, max_retries=RETRIES) as client, ThreadPoolExecutor(AT_ONCE) as pool:

        def read(text: str) -> Read:
            with client.chat.stream(text) as stream:
                return Read(str(stream.client_message_id), list(stream))

        return list(pool.map(read, questions))


async def read_in_tasks(person: Person, url: str, questions: list[str]) -> list[Read]:
    async with AsyncB2BChat(person.api_key, base_url=url, max_retries=RETRIES) as client:
        turns = asyncio.Semaphore(AT_ONCE)

        async def read(text: str) -> Read:
            async with turns, client.chat.stream(text) as stream:
                return Read(str(stream.client_message_id), [event async for event in stream])

        return await asyncio.gather(*map(read, questions))


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_every_stream_is_exact_and_charged_once(
    kind: str, cutting: FaultStack, world: World, person: Person, seed: int
) -> None:
    rng = random.Random(seed)
    questions = [question(number, rng) for number in range(STREAMS // 2)]
    connections = cutting.client_line.connections
    if kind == "sync":
        reads = await asyncio.to_thread(read_in_threads, person, cutting.url, questions)
    else:
        reads = await read_in_tasks(person, cutting.url, questions)
    assert cutting.client_line.connections - connections > len(questions), "nothing was cut"
    stored = {row["client_message_id"]: row for row in await world.rows(STORED, person.company_id)}
    assert set(stored) == {read.name for read in reads}
    for read in reads:
        read.check(stored[read.name]["text"])
    assert {row["status"] for row in stored.values()} == {"completed"}
    assert {row["charges"] for row in stored.values()} == {1}
    await world.check_books()


STORED = """
    SELECT question.client_message_id, answer.text, answer.status,
           (SELECT count(*) FROM ledger WHERE ledger.message_id = question.id AND kind = 'charge') AS charges
    FROM messages AS question JOIN messages AS answer ON answer.reply_to = question.id
    WHERE question.company_id = $1
"""
