"""Sign-ins, good and bad, and ended sessions are in the audit log."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest_asyncio

from support.database.world import World
from support.gateway.fake import FakeGateway
from support.processes.waiting import until
from support.product.app import error_of, served_product
from support.product.sessions import add_session, http_client, letters_to


@pytest_asyncio.fixture
async def url(database_url: str, module_gateway: FakeGateway) -> AsyncIterator[str]:
    """A product_api of the test's own, which writes its counts when it ends, and lets one address try often."""
    settings = {"login_rpm_per_ip": 100_000, "mail_poll_seconds": 0.1}
    async with served_product(database_url, module_gateway.url, **settings) as url:
        yield url


async def records_of(world: World, user_id: UUID) -> list[dict[str, Any]]:
    return await world.rows(
        "SELECT * FROM audit_log WHERE actor_user_id = $1 AND action LIKE 'session.%' ORDER BY at, id", user_id
    )


async def sign_in(world: World, browser: httpx.AsyncClient, email: str) -> None:
    """Sign in by the mailed code."""
    before = len(await letters_to(world, email))
    assert (await browser.post("/auth/request-link", json={"email": email})).status_code == 202

    async def is_mailed() -> bool:
        return len(await letters_to(world, email)) > before

    await until(is_mailed)
    code = (await letters_to(world, email))[-1]["code"]
    assert (await browser.post("/auth/verify", json={"email": email, "code": code})).status_code == 204


async def test_signing_in_and_out_leaves_a_row_each(world: World, url: str) -> None:
    person = await world.person()
    email = (await world.row("SELECT email FROM users WHERE id = $1", person.user_id))["email"]
    other = await add_session(world, person.user_id, person.company_id)
    async with http_client(url) as browser:
        await sign_in(world, browser, email)
        sessions = (await browser.get("/auth/sessions")).json()["items"]
        current, another = sorted((each["id"] for each in sessions), key=lambda one: one != _current(sessions))
        assert (await browser.delete(f"/auth/sessions/{another}")).status_code == 204
        assert (await browser.post("/auth/logout")).status_code == 204
        assert (await browser.post("/auth/logout")).status_code == 204  # there is no session to end any more
    assert other
    records = await records_of(world, person.user_id)
    assert [(row["action"], row["target_ids"]) for row in records] == [
        ("session.start", [current]),
        ("session.end", [another]),
        ("session.end", [current]),
    ]
    assert {(row["actor_kind"], row["outcome"], row["company_id"]) for row in records} == {
        ("user", "ok", person.company_id)
    }


def _current(sessions: list[dict[str, Any]]) -> str:
    return next(str(each["id"]) for each in sessions if each["is_current"])


async def test_bad_sign_ins_are_counted_and_name_whom_they_were_for(
    world: World, database_url: str, module_gateway: FakeGateway
) -> None:
    people = [await world.person() for _ in range(2)]
    emails = [f"{person.user_id}@example.test" for person in people]
    async with (
        served_product(database_url, module_gateway.url, login_rpm_per_ip=100_000) as url,
        http_client(url) as stranger,
    ):
        for email in (emails[0], emails[1], f"{uuid4()}@example.test", emails[1]):
            refused = await stranger.post("/auth/verify", json={"email": email, "code": "12345678"})
            assert error_of(refused) == (401, "invalid_proof")
        refused = await stranger.post("/auth/verify", json={"token": "x" * 43})
        assert error_of(refused) == (401, "invalid_proof")
    rows = await world.rows("SELECT * FROM audit_log WHERE actor_kind = 'stranger' ORDER BY at")
    assert sum(row["count"] for row in rows) == 5
    assert {(row["actor_id"], row["action"], row["outcome"], row["reason"]) for row in rows} == {
        ("unknown", "session.start", "refused", "invalid_proof")
    }
    meant = {target for row in rows for target in row["target_ids"]}
    assert meant == {str(person.user_id) for person in people}
    assert "@" not in str([row["after"] for row in rows])
