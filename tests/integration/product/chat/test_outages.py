"""A PostgreSQL that stops and comes back under a running product."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from b2b_chat.product.schema import upgrade_to_head_async
from b2b_chat.sandbox.postgres import EmbeddedPostgres
from support.database.world import Person, World, open_world
from support.gateway.fake import ANSWER, FakeGateway, Gate
from support.processes.waiting import until
from support.product.app import Client, client_of, error_of, served_product

SAME = {"client_message_id": "same"}
AWAY = (503, "database_unavailable")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of this module's own, to be stopped at will."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(scope="module")
async def database_url(server: EmbeddedPostgres) -> str:
    url = server.url("postgres")
    await upgrade_to_head_async(url)
    return url


@pytest_asyncio.fixture
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    async with served_product(database_url, module_gateway.url, database_acquire_timeout_seconds=1.0) as url:
        yield url


@pytest_asyncio.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as world:
        yield world


def crash(server: EmbeddedPostgres) -> None:
    """Kill the server as a failing machine would, without notice to its clients."""
    os.kill(server.child.pid, signal.SIGQUIT)
    server.child.stop(kill_after_seconds=10)


async def test_an_outage_is_reported_and_recovery_is_automatic(
    client: Client, server: EmbeddedPostgres, world: World
) -> None:
    await client.ask()
    crash(server)
    for path in ("/v1/balance", "/v1/ledger", "/v1/conversations"):
        response = await client.http.get(path)
        assert error_of(response) == AWAY
        assert int(response.headers["retry-after"]) > 0
    assert error_of(await client.send(**SAME)) == AWAY
    assert error_of(await client.send(stream=True)) == AWAY
    assert (await client.http.get("/health")).status_code == 200
    server.start()
    assert (await client.ask(**SAME))["text"] == ANSWER
    assert (await client.http.get("/v1/balance")).json()["balance_credits"] == "999.973200"
    await world.check_books()


async def test_a_stop_in_good_order_is_no_different(client: Client, server: EmbeddedPostgres) -> None:
    await client.ask()
    await client.http.get("/v1/balance")
    await asyncio.to_thread(server.stop)
    assert error_of(await client.http.get("/v1/balance")) == AWAY
    assert error_of(await client.send()) == AWAY
    server.start()
    assert (await client.ask())["text"] == ANSWER


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_comes_meanwhile_waits_for_it(
    client: Client, server: EmbeddedPostgres, world: World, gateway: FakeGateway, person: Person, stream: bool
) -> None:
    gateway.reply = gate = Gate("Once ")
    asking = asyncio.create_task(client.stream(**SAME) if stream else client.ask(**SAME))
    await gateway.call()
    crash(server)
    gate.open()
    # Whatever follows the answer on the product's side has begun once another request has passed through.
    assert error_of(await client.http.get("/v1/balance")) == AWAY
    server.start()
    told: Any = await asking
    assert (told[-1].data if isinstance(told, list) else told)["status"] == "completed"
    assert (await world.answer(person))["text"] == ANSWER
    await world.check_books()


async def test_an_answer_that_could_not_be_stored_is_given_up_and_free(
    server: EmbeddedPostgres, database_url: str, world: World, gateway: FakeGateway, person: Person
) -> None:
    gateway.reply = gate = Gate()
    async with (
        served_product(database_url, gateway.url, database_acquire_timeout_seconds=0.2, chat_lease_seconds=0.5) as url,
        client_of(url, person) as client,
    ):
        asking = asyncio.create_task(client.send(**SAME))
        await gateway.call()
        crash(server)
        gate.open()
        assert error_of(await asking) == (503, "interrupted")
        server.start()

        async def is_given_up() -> object:
            return (await world.answer(person))["status"] == "error"

        await until(is_given_up)
        assert (await world.answer(person))["error_code"] == "interrupted"
        assert (await world.account(person))["held_credits"] == 0
        await world.check_books()
        gateway.forget()
        assert (await client.ask(**SAME))["text"] == ANSWER
    await world.check_books()


async def test_it_starts_without_a_database_and_serves_when_there_is_one(
    server: EmbeddedPostgres, database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    crash(server)
    async with (
        served_product(database_url, gateway.url, chat_lease_seconds=1.0) as url,
        client_of(url, person) as client,
    ):
        assert error_of(await client.send(**SAME)) == AWAY
        server.start()
        assert (await client.ask(**SAME))["text"] == ANSWER
    await world.check_books()


async def test_a_busy_database_is_an_outage_and_no_defect(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    async with (
        served_product(
            database_url,
            gateway.url,
            database_pool_size=1,
            database_session_pool_size=1,
            database_acquire_timeout_seconds=0.2,
            database_statement_timeout_seconds=30.0,
        ) as url,
        client_of(url, person) as client,
    ):
        await client.ask()
        async with world.database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.create_task(client.ask())
            refused = await asyncio.gather(*[client.send() for _ in range(3)])
            assert {error_of(response) for response in refused} == {AWAY}
            await transaction.rollback()
        assert (await waiting)["text"] == ANSWER


async def test_a_statement_that_takes_too_long_is_an_outage_and_no_defect(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    async with (
        served_product(database_url, gateway.url, database_statement_timeout_seconds=0.3) as url,
        client_of(url, person) as client,
    ):
        await client.http.get("/v1/balance")
        async with world.database.connection() as connection, connection.transaction():
            await connection.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
            assert error_of(await client.http.get("/v1/balance")) == AWAY
            assert error_of(await client.send(**SAME)) == AWAY
        assert (await client.ask(**SAME))["text"] == ANSWER
    await world.check_books()
