"""Answers followed between processes that are killed, held still and shut down, and between workers of one server."""

import asyncio
import random
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from b2b_chat.kit.settings import load
from b2b_chat.product.app import create_app
from b2b_chat.product.configuration import check
from b2b_chat.product.settings import ProductSettings
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, answering
from support.http.serving import serve
from support.processes.waiting import until
from support.product.app import (
    Client,
    client_of,
    environ,
    error_of,
    follow,
    following,
    kill_all_of,
    product_process,
    text_of,
)
from support.product.relay import FAST, Dictation, overhearing

SAME = {"client_message_id": "same"}
UNHEARD_CHARS = 4096


class Stage:
    """What the products of a test share, and ways to run one."""

    def __init__(
        self, home: Path, database_url: str, gateway: FakeGateway, valkey: EmbeddedValkey, person: Person
    ) -> None:
        self._home = home
        self._database_url = database_url
        self._gateway_url = gateway.url
        self._settings = {"CHAT_RESUME_WINDOW_SECONDS": "30", **FAST, "VALKEY_URL": valkey.url}
        self._person = person

    @asynccontextmanager
    async def process(self, **variables: str) -> AsyncIterator[tuple[subprocess.Popen[str], Client]]:
        """A product_api that can be harmed, and a client of it."""
        settings = {**self._settings, **variables}
        async with (
            product_process(self._home, self._database_url, self._gateway_url, **settings) as (url, process),
            client_of(url, self._person) as client,
        ):
            yield process, client

    @asynccontextmanager
    async def served(self, **variables: str) -> AsyncIterator[Client]:
        """A client of one that shares the test's own process, and so is there sooner."""
        environ_of_it = environ(self._database_url, self._gateway_url, **{**self._settings, **variables})
        settings = load(ProductSettings, environ_of_it, check=check)
        async with serve(create_app(settings)) as url, client_of(url, self._person) as client:
            yield client


@pytest.fixture
def stage(tmp_path: Path, database_url: str, gateway: FakeGateway, valkey: EmbeddedValkey, person: Person) -> Stage:
    return Stage(tmp_path, database_url, gateway, valkey, person)


async def test_the_killed_writer_of_a_followed_answer(stage: Stage, gateway: FakeGateway, world: World) -> None:
    gateway.reply = Gate("Once ")
    lease = {"CHAT_LEASE_SECONDS": "1"}
    async with stage.process(**lease) as (process, here), stage.served(**lease) as there:
        async with here.streaming(**SAME) as sent:
            start = await anext(sent)
            async with following(there, start.data["assistant_message_id"]) as events:
                assert [await anext(events), (await anext(events)).data] == [start, {"text": "Once "}]
                kill_all_of(process)
                (last,) = [event async for event in events]
        assert (last.name, last.data["detail"]["code"]) == ("error", "interrupted")
        gateway.reply = answering()
        assert (await there.ask(**SAME))["text"] == ANSWER
    await world.check_books()


async def test_a_follower_that_is_held_still_costs_little(
    stage: Stage, gateway: FakeGateway, valkey: EmbeddedValkey, world: World
) -> None:
    gateway.reply = spoken = Dictation()
    settings = {"RELAY_UNHEARD_CHARS": str(UNHEARD_CHARS), "RELAY_HEARTBEAT_SECONDS": "5"}
    async with (
        stage.process(**settings) as (process, there),
        stage.served(**settings) as here,
        overhearing(valkey) as overheard,
        here.streaming() as sent,
        following(there, (await anext(sent)).data["assistant_message_id"]) as events,
    ):
        spoken.say("Once ")
        heard = [await anext(events), await anext(events)]
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for each in family:
            each.suspend()
        heard_here = ""
        for _ in range(100):
            spoken.say("x" * 1000)
        while heard_here != spoken.text:
            heard_here += (await anext(sent)).data["text"]

        async def is_being_sent() -> bool:
            return len(overheard.pieces) > 1

        await until(is_being_sent)
        await asyncio.sleep(0.3)  # what would come beyond all bounds would come now
        on_its_way = sum(len(piece.text) for piece in overheard.pieces[1:])
        for each in family:
            each.resume()
        while text_of(heard) != spoken.text:
            heard.append(await asyncio.wait_for(anext(events), 10))
        spoken.end()
        heard += [event async for event in events]
    assert on_its_way <= UNHEARD_CHARS
    assert heard[-1].data["text"] == spoken.text
    assert sum(len(piece.text) for piece in overheard.pieces) == len(spoken.text)
    await world.check_books()


async def test_a_follower_that_shuts_down_sends_its_readers_elsewhere(
    stage: Stage, gateway: FakeGateway, valkey: EmbeddedValkey, world: World
) -> None:
    gateway.reply = gate = Gate("Once ")
    async with (
        stage.process() as (process, there),
        stage.served() as here,
        overhearing(valkey) as overheard,
        here.streaming(**SAME) as sent,
    ):
        answer_id = (await anext(sent)).data["assistant_message_id"]
        joining = asyncio.create_task(there.send(**SAME))

        async def was_asked_for() -> bool:
            return bool(overheard.asks)

        await until(was_asked_for)
        async with following(there, answer_id) as events:
            heard = [await anext(events), await anext(events)]
            process.send_signal(signal.SIGTERM)
            assert [event async for event in events] == [], "it pretended to know the end"
        assert error_of(await joining) == (409, "message_in_progress")
        assert await asyncio.to_thread(process.wait, 20) == 0
        rest = asyncio.create_task(follow(here, answer_id, heard[-1].id))
        gate.open()
        assert text_of(heard) + text_of(await rest) == ANSWER
        assert [event async for event in sent][-1].name == "final"
    await world.check_books()


async def test_a_writer_that_shuts_down_sends_followers_the_end(
    stage: Stage, gateway: FakeGateway, world: World
) -> None:
    gateway.reply = Gate("Once ")
    async with (
        stage.process() as (process, here),
        stage.served() as there,
        here.streaming(**SAME) as sent,
        following(there, (await anext(sent)).data["assistant_message_id"]) as events,
    ):
        assert [(await anext(events)).name, (await anext(events)).name] == ["start", "delta"]
        process.send_signal(signal.SIGTERM)
        (last,) = [event async for event in events]
        assert last.data["detail"]["code"] == "interrupted"
        gateway.reply = answering()
        assert (await there.ask(**SAME))["text"] == ANSWER
    await world.check_books()


async def test_any_worker_of_a_server_will_do(
    stage: Stage, gateway: FakeGateway, valkey: EmbeddedValkey, world: World
) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)

    async def asked(client: Client, number: int) -> str:
        """One message: sent, left, resumed, and sent again, each on a connection and so a worker of its own."""
        same = {"client_message_id": f"same-{number}"}
        async with client.streaming(**same) as sent:
            heard = [await anext(sent), await anext(sent)]
        answer_id: str = heard[0].data["assistant_message_id"]
        while heard[-1].name != "final":
            async with following(client, answer_id, heard[-1].id) as events:
                async for event in events:
                    heard.append(event)
                    if rng.random() < 0.3:
                        break
        again = await client.ask(**same)
        assert again["text"] == text_of(heard) == heard[-1].data["text"] == ANSWER
        return answer_id

    gateway.reply = answering(pieces=8, pause_seconds=0.1)
    async with stage.process(WORKERS="3") as (_, client), overhearing(valkey) as overheard:
        client.http.headers["Connection"] = "close"  # the next request may land on another worker
        answers = await asyncio.gather(*[asked(client, number) for number in range(24)])

        async def was_asked_for() -> bool:
            return bool(overheard.asks)

        await until(was_asked_for)
    assert len(set(answers)) == 24 == len(gateway.calls)
    assert len({ask.inbox for ask in overheard.asks}) > 1, "no two workers had a part in it"
    await world.check_books()
