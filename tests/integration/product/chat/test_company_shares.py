"""One company whose answers hang, or end all at once, leaves connections to the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate
from support.product.app import client_of, error_of, served_product

BUSY = (503, "company_busy")
FULL = (503, "gateway_unavailable")
UNBOUND = {"chat_open_answers_per_user": 100, "chat_user_hold_percent": 100}


@pytest_asyncio.fixture(scope="module")
async def product_url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    """A product of ten connections to the gateway, and of four to the database."""
    few: dict[str, Any] = {
        "gateway_max_connections": 10,
        "database_pool_size": 4,
        "chat_admissions_at_once": 2,
        "chat_settlements_at_once": 2,
    }
    async with served_product(database_url, module_gateway.url, **few, **UNBOUND) as url:
        yield url


async def send_alone(url: str, person: Person) -> httpx.Response:
    """Send a message on a connection of its own."""
    async with client_of(url, person) as client:
        return await client.send()


async def until_refused(tasks: list[asyncio.Task[httpx.Response]], number: int) -> list[httpx.Response]:
    """The first answers of these sends, once there are so many."""
    async with asyncio.timeout(10):
        while sum(task.done() for task in tasks) < number:
            await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
    return [task.result() for task in tasks if task.done()]


async def test_hanging_answers_are_counted_against_their_company(
    world: World, product_url: str, gateway: FakeGateway
) -> None:
    hanging, other = await world.person(), await world.person()
    async with client_of(product_url, hanging) as client, client_of(product_url, other) as neighbour:
        stored = client.message("Before")
        assert (await client.http.post("/v1/chat", json=stored)).status_code == 200
        before = len(gateway.calls)
        gateway.reply = gate = Gate()
        sending = [asyncio.create_task(client.send()) for _ in range(12)]
        refused = await until_refused(sending, 4)
        await gateway.call(before + 8)
        assert [error_of(answer) for answer in refused] == [BUSY] * 4
        assert {answer.headers["retry-after"] for answer in refused} == {"5"}
        # Nothing was held or stored for what was refused, and what is stored already is told all the same.
        assert len(await world.messages(hanging)) == 2 + 2 * 8
        assert len([hold for hold in await world.holds(hanging) if hold["resolved_at"] is None]) == 8
        assert (await client.http.post("/v1/chat", json=stored)).status_code == 200
        theirs = [asyncio.create_task(neighbour.send())]
        await gateway.call(before + 9)
        gate.open()
        answers = await asyncio.gather(*sending, *theirs)
        assert sorted(answer.status_code for answer in answers) == [200] * 9 + [503] * 4
        again = await asyncio.gather(*[client.send() for _ in range(8)])
        assert [answer.status_code for answer in again] == [200] * 8
    await world.check_books()


async def test_a_failed_answer_is_tried_anew_only_where_there_is_room(
    world: World, product_url: str, gateway: FakeGateway
) -> None:
    person = await world.person()
    async with client_of(product_url, person) as client:
        before = len(gateway.calls)
        gateway.reply = gate = Gate()
        refused_message = client.message("Later")
        sending = [asyncio.create_task(client.send()) for _ in range(8)]
        await gateway.call(before + 8)
        for _ in range(2):
            assert error_of(await client.http.post("/v1/chat", json=refused_message)) == BUSY
        gate.open()
        await asyncio.gather(*sending)
        assert (await client.http.post("/v1/chat", json=refused_message)).status_code == 200


async def test_where_all_is_taken_one_more_is_refused(world: World, product_url: str, gateway: FakeGateway) -> None:
    companies = [await world.person() for _ in range(10)]
    before = len(gateway.calls)
    gateway.reply = gate = Gate()
    tasks = []
    for number, person in enumerate(companies, 1):
        tasks.append(asyncio.create_task(send_alone(product_url, person)))
        await gateway.call(before + number)
    async with client_of(product_url, await world.person()) as client:
        assert error_of(await client.send()) == FULL
        gate.open()
        assert {answer.status_code for answer in await asyncio.gather(*tasks)} == {200}
        assert (await client.send()).status_code == 200


async def test_answers_that_end_at_once_leave_connections_to_the_database(
    world: World, product_url: str, gateway: FakeGateway
) -> None:
    many, other = await world.person(), await world.person()
    async with client_of(product_url, many) as client, client_of(product_url, other) as neighbour:
        before = len(gateway.calls)
        gateway.reply = gate = Gate()
        # With the neighbour's three they are as many as there are connections to the gateway.
        sending = [asyncio.create_task(client.send()) for _ in range(7)]
        await gateway.call(before + 7)
        async with world.database.connection() as holder, holder.transaction():
            await holder.execute("SELECT FROM accounts WHERE company_id = $1 FOR UPDATE", many.company_id)
            gate.open()  # and each end waits for the company's account
            answers = await asyncio.gather(*[neighbour.send() for _ in range(3)])
            assert [answer.status_code for answer in answers] == [200] * 3
            assert not any(task.done() for task in sending)
        assert {answer.status_code for answer in await asyncio.gather(*sending)} == {200}
    await world.check_books()
