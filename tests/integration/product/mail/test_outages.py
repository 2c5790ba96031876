"""A mail server that is down or slow: people are answered as ever, and the mail comes once it is back, once."""

from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.database.world import World
from support.gateway.fake import FakeGateway
from support.processes.waiting import until
from support.product.app import served_product
from support.product.mailbox import Mailbox
from support.product.sessions import add_member, http_client


@pytest.mark.parametrize("outage", ["down", "slow"])
async def test_the_mail_comes_later_and_once(
    world: World, database_url: str, gateway: FakeGateway, outage: str
) -> None:
    box = Mailbox()
    _, email = await add_member(world)

    async def mail() -> dict[str, Any] | None:
        rows = await world.rows("SELECT state, attempts FROM mails WHERE recipient = $1", email)
        return rows[0] if rows else None

    async def was_tried() -> bool:
        found = await mail()
        return found is not None and found["attempts"] > 0 and (outage == "down" or box.begun > 0)

    async def is_sent() -> bool:
        found = await mail()
        return found is not None and found["state"] == "sent"

    settings = {
        "smtp_host": "127.0.0.1",
        "smtp_port": box.port,
        "smtp_use_tls": False,
        "email_from": "chat@example.test",
    }
    async with (
        AsyncExitStack() as mail_server,
        served_product(database_url, gateway.url, **settings, mail_poll_seconds=0.05) as url,
        http_client(url) as http,
    ):
        if outage == "slow":
            box.pause_seconds = 1
            await mail_server.enter_async_context(box.listening())
        assert (await http.post("/auth/request-link", json={"email": email})).status_code == 202
        await until(was_tried)
        assert not await is_sent()
        if outage == "down":
            await mail_server.enter_async_context(box.listening())
        came = await box.mail_to(email)
        await until(is_sent)
        assert came.link is not None
        assert (await http.post("/auth/verify", json={"token": urlsplit(came.link).fragment})).status_code == 204
    assert len(box.to(email)) == 1
