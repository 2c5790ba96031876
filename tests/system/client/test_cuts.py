"""Streams of the clients through a proxy that cuts every connection at random: exact, and charged once each.

CLIENT_STREAMS is the number of the Python client's, and CLIENT_SEED the seed.
"""

import asyncio
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from b2b_chat_client import AnswerStream, AsyncAnswerStream, AsyncB2BChat, B2BChat, Delta, StreamEvent
from support.client.streams import AT_ONCE, RETRIES, Read, check_reads, questions_of
from support.client.typescript import run_node
from support.database.world import Person, World
from support.faults.stack import FaultStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

STREAMS = int(os.environ.get("CLIENT_STREAMS", "200"))
STREAMS_OF_TYPESCRIPT = 40


def read_of(stream: AnswerStream | AsyncAnswerStream, events: list[StreamEvent]) -> Read:
    text = "".join(event.text for event in events if isinstance(event, Delta))
    kinds = [type(event).__name__.lower() for event in events if not isinstance(event, Delta)]
    assert stream.final is not None
    return Read(str(stream.client_message_id), kinds, text, stream.final.text)


def read_in_threads(person: Person, url: str, questions: list[str]) -> list[Read]:
    with (
        B2BChat(person.api_key, base_url=url, max_retries=RETRIES) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):

        def read(text: str) -> Read:
            with client.chat.stream(text) as stream:
                return read_of(stream, list(stream))

        return list(pool.map(read, questions))


async def read_in_tasks(person: Person, url: str, questions: list[str]) -> list[Read]:
    async with AsyncB2BChat(person.api_key, base_url=url, max_retries=RETRIES) as client:
        turns = asyncio.Semaphore(AT_ONCE)

        async def read(text: str) -> Read:
            async with turns, client.chat.stream(text) as stream:
                return read_of(stream, [event async for event in stream])

        return await asyncio.gather(*map(read, questions))


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_every_stream_is_exact_and_charged_once(
    kind: str, cutting: FaultStack, world: World, person: Person, seed: int
) -> None:
    questions = questions_of(random.Random(seed), STREAMS // 2)
    connections = cutting.client_line.connections
    if kind == "sync":
        reads = await asyncio.to_thread(read_in_threads, person, cutting.url, questions)
    else:
        reads = await read_in_tasks(person, cutting.url, questions)
    assert cutting.client_line.connections - connections > len(questions), "nothing was cut"
    await check_reads(reads, world, person)


async def test_every_stream_of_typescript_is_exact_and_charged_once(
    cutting: FaultStack, world: World, person: Person, seed: int, client_ts: Path
) -> None:
    questions = questions_of(random.Random(seed), STREAMS_OF_TYPESCRIPT)
    environ = {
        "CLIENT": (client_ts / "dist").as_uri(),
        "B2B_CHAT_API_KEY": person.api_key,
        "B2B_CHAT_BASE_URL": cutting.url,
        "QUESTIONS": json.dumps(questions),
        "MAX_RETRIES": str(RETRIES),
        "AT_ONCE": str(AT_ONCE),
    }
    connections = cutting.client_line.connections
    done = await asyncio.to_thread(run_node, Path(__file__).parent / "typescript/cuts.mjs", environ=environ)
    assert done.returncode == 0, done.stderr
    assert cutting.client_line.connections - connections > len(questions), "nothing was cut"
    await check_reads([Read(**json.loads(line)) for line in done.stdout.splitlines()], world, person)
