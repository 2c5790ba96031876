"""How many chats a user, an address and a company may send, as a client sees it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from support.database.world import Person, World
from support.gateway.fake import FakeGateway, Gate, refusing
from support.product.app import Client, client_of, error_of, served_product

LIMITED = (429, "rate_limited")


@asynccontextmanager
async def limited(database_url: str, gateway: FakeGateway, person: Person, **changes: object) -> AsyncIterator[Client]:
    """A client of a product_api with other limits."""
    async with served_product(database_url, gateway.url, **changes) as url, client_of(url, person) as client:
        yield client


def left(response: httpx.Response) -> dict[str, int]:
    """What the headers say is left."""
    return {name: int(count) for name, count in re.findall(r'"(\w+)";r=(\d+);t=\d+', response.headers["ratelimit"])}


async def test_a_user_is_limited_with_a_429(database_url: str, gateway: FakeGateway, person: Person) -> None:
    rates = {"chat_rpm_per_user": 2, "chat_rpm_per_ip": 300, "chat_rpm_per_company": 5}
    async with limited(database_url, gateway, person, **rates) as client:
        first, second, third = [await client.send() for _ in range(3)]
        assert left(first) == {"user": 1, "ip": 299, "company": 4}
        assert left(second)["user"] == 0
        assert first.headers["ratelimit-policy"] == '"user";q=2;w=60, "ip";q=300;w=60, "company";q=5;w=60'
        assert error_of(third) == LIMITED
        assert 55 <= int(third.headers["retry-after"]) <= 60
        assert left(third) == {"user": 0, "ip": 298, "company": 3}


async def test_a_stream_has_the_headers_too(database_url: str, gateway: FakeGateway, person: Person) -> None:
    async with limited(database_url, gateway, person, chat_rpm_per_user=1) as client:
        response = await client.send(stream=True)
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert left(response)["user"] == 0
        refused = await client.send(stream=True)
        assert error_of(refused) == LIMITED


async def test_a_repetition_of_what_is_answered_is_never_limited(
    database_url: str, gateway: FakeGateway, person: Person
) -> None:
    async with limited(database_url, gateway, person, chat_rpm_per_user=1) as client:
        message = client.message()
        first = await client.http.post("/v1/chat", json=message)
        assert error_of(await client.send()) == LIMITED
        for _ in range(3):
            again = await client.http.post("/v1/chat", json=message)
            assert (again.status_code, again.json()) == (200, first.json())
            assert "ratelimit" not in again.headers


async def test_a_repetition_uses_nothing_up(database_url: str, gateway: FakeGateway, person: Person) -> None:
    async with limited(database_url, gateway, person, chat_rpm_per_user=2) as client:
        message = client.message()
        for _ in range(5):
            assert (await client.http.post("/v1/chat", json=message)).status_code == 200
        other = {**message, "text": "Something else"}
        assert (await client.http.post("/v1/chat", json=other)).status_code == 409
        assert (await client.send()).status_code == 200
        assert error_of(await client.send()) == LIMITED


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_message_sent_again_counts_each_time(
    database_url: str, gateway: FakeGateway, person: Person, world: World, stream: bool
) -> None:
    gateway.reply = refusing("upstream_failed")
    async with limited(database_url, gateway, person, chat_rpm_per_user=3) as client:
        same = client.message(stream=stream)
        answers = [await client.http.post("/v1/chat", json=same) for _ in range(10)]
        assert [answer.status_code for answer in answers[3:]] == [429] * 7
        assert error_of(await client.send()) == LIMITED
    assert len(gateway.calls) == 3
    row = await world.answer(person)
    assert (row["status"], row["attempt"]) == ("error", 3)
    await world.check_books()


async def test_who_joins_a_retry_is_not_counted(database_url: str, gateway: FakeGateway, person: Person) -> None:
    gateway.reply = refusing("upstream_failed")
    async with limited(database_url, gateway, person, chat_rpm_per_user=2) as client:
        same = client.message()
        await client.http.post("/v1/chat", json=same)
        gateway.reply = gate = Gate()
        retry = asyncio.create_task(client.http.post("/v1/chat", json=same))
        await gateway.call(2)
        joined = [asyncio.create_task(client.http.post("/v1/chat", json=same)) for _ in range(5)]
        await client.http.get("/v1/balance")
        gate.open()
        assert [(await answer).status_code for answer in (retry, *joined)] == [200] * 6
    assert len(gateway.calls) == 2


async def test_the_limit_comes_before_the_look_at_the_text(
    database_url: str, gateway: FakeGateway, person: Person
) -> None:
    async with limited(database_url, gateway, person, chat_rpm_per_user=1) as client:
        assert error_of(await client.send("")) == (422, "empty_text")
        assert error_of(await client.send("")) == LIMITED


async def test_what_is_limited_leaves_no_trace(
    world: World, database_url: str, gateway: FakeGateway, person: Person
) -> None:
    async with limited(database_url, gateway, person, chat_rpm_per_user=1) as client:
        await client.ask()
        await asyncio.gather(*[client.send() for _ in range(10)])
    assert len(await world.messages(person)) == 2
    assert len(gateway.calls) == 1


async def test_at_once_as_many_are_let_in_as_one_after_the_other(
    world: World, database_url: str, gateway: FakeGateway, person: Person
) -> None:
    async with limited(database_url, gateway, person, chat_rpm_per_user=7) as client:
        answers = await asyncio.gather(*[client.send() for _ in range(30)])
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [429] * 23
    assert len(await world.messages(person)) == 14


async def test_a_company_is_limited_over_its_users_and_another_is_not(
    world: World, database_url: str, gateway: FakeGateway, person: Person
) -> None:
    colleague, stranger = await world.person(company_id=person.company_id), await world.person()
    async with limited(database_url, gateway, person, chat_rpm_per_company=2) as client:
        url = str(client.http.base_url)
        await client.ask()
        async with client_of(url, colleague) as theirs, client_of(url, stranger) as others:
            await theirs.ask()
            assert error_of(await client.send()) == LIMITED
            assert error_of(await theirs.send()) == LIMITED
            await others.ask()


async def test_the_client_address_is_the_one_from_trusted_proxies(
    database_url: str, gateway: FakeGateway, person: Person
) -> None:
    changes = {"chat_rpm_per_ip": 1, "trusted_proxies": "127.0.0.1"}
    async with limited(database_url, gateway, person, **changes) as client:

        async def send(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            return (await client.http.post("/v1/chat", json=client.message(), headers=headers)).status_code

        assert [await send("192.0.2.1"), await send("192.0.2.1")] == [200, 429]
        assert await send("192.0.2.2") == 200
        # What a client writes itself stands before what our proxy adds, and is not believed.
        assert await send("203.0.113.1, 192.0.2.2") == 429
        assert [await send("2001:db8::1"), await send("2001:db8::2")] == [200, 429]


async def test_without_proxies_a_header_changes_nothing(
    database_url: str, gateway: FakeGateway, person: Person
) -> None:
    async with limited(database_url, gateway, person, chat_rpm_per_ip=1) as client:
        await client.ask()
        headers = {"X-Forwarded-For": "192.0.2.77"}
        assert error_of(await client.http.post("/v1/chat", json=client.message(), headers=headers)) == LIMITED
