"""A gateway that is away for a moment: sends wait for it, for as long as the settings say and no longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Reply, answering, in_turn, refusing, sending, whole
from support.http.serving import free_port
from support.product.app import Client, client_of, error_of, served_product

PROXY_PAGE = b"<html>502 Bad Gateway</html>"

AWAY: dict[str, Reply] = {
    "shutting down": refusing("shutting_down"),
    "a proxy without a gateway": sending(whole(502, PROXY_PAGE, content_type="text/html")),
    "a balancer without a gateway": sending(whole(503, PROXY_PAGE, content_type="text/html")),
    "a proxy that takes the connection": sending(),
}


@asynccontextmanager
async def patient(database_url: str, gateway_url: str, person: Person, seconds: float) -> AsyncIterator[Client]:
    async with (
        served_product(database_url, gateway_url, gateway_restart_wait_seconds=seconds) as url,
        client_of(url, person) as client,
    ):
        yield client


@pytest.mark.parametrize("stream", [False, True])
async def test_a_gateway_that_refuses_connections_is_waited_for(
    database_url: str, world: World, person: Person, *, stream: bool
) -> None:
    gateway, port = FakeGateway(), free_port()
    async with patient(database_url, f"http://127.0.0.1:{port}", person, 30) as client:
        asking = asyncio.create_task(client.send(stream=stream))
        await asyncio.sleep(0.5)
        assert (await world.answer(person))["status"] in {"pending", "streaming"}
        server = await asyncio.start_server(gateway.serve, "127.0.0.1", port)
        try:
            response = await asking
            assert response.status_code == 200
            assert ANSWER in response.text
        finally:
            server.close()
            await gateway.close()
    assert len(gateway.calls) == 1, "the refused ones have sent nothing"
    await world.check_books()


@pytest.mark.parametrize("how", AWAY)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_gateway_that_is_away_behind_something_is_waited_for(
    database_url: str, gateway: FakeGateway, world: World, person: Person, how: str, *, stream: bool
) -> None:
    away = AWAY[how]
    gateway.reply = in_turn(away, away, away, answering())
    async with patient(database_url, gateway.url, person, 30) as client:
        response = await client.send(stream=stream)
    assert response.status_code == 200
    assert ANSWER in response.text
    assert len(gateway.calls) == 4
    signatures = {call.headers["x-nonce"] for call in gateway.calls}
    assert len(signatures) == 4, "each is signed anew"
    await world.check_books()


@pytest.mark.parametrize("how", AWAY)
async def test_no_longer_than_the_settings_say(
    database_url: str, gateway: FakeGateway, world: World, person: Person, how: str
) -> None:
    gateway.reply = AWAY[how]
    async with patient(database_url, gateway.url, person, 0.3) as client:
        assert error_of(await client.send()) == (503, "gateway_unavailable")
    assert len(gateway.calls) >= 2
    await world.check_books()


async def test_stopping_an_answer_that_waits_for_its_gateway(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = refusing("shutting_down")
    async with (
        patient(database_url, gateway.url, person, 30) as client,
        client.streaming() as read,
    ):
        answer_id = (await anext(read)).data["assistant_message_id"]
        stopped = await client.http.post(f"/v1/chat/{answer_id}/stop")
        assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
    await world.check_books()


async def test_what_is_no_restart_is_not_waited_for(database_url: str, gateway: FakeGateway, person: Person) -> None:
    gateway.reply = refusing("upstream_failed")
    async with patient(database_url, gateway.url, person, 30) as client:
        assert error_of(await client.send()) == (503, "gateway_unavailable")
    assert len(gateway.calls) == 1
