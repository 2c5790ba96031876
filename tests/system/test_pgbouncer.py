"""Everything that asks PostgreSQL, through PgBouncer in transaction mode, with fewer connections than askers."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from b2b_chat.sandbox.postgres import run_sql
from support.database.pgbouncer import pgbouncer_for
from support.database.world import World, open_world
from support.gateway.fake import ANSWER, Gate, fake_gateway
from support.processes.commands import clean_environ, run, started
from support.processes.waiting import until
from support.product.app import Client, client_of, product_process

CONNECTIONS = 3
AT_ONCE = 24


@pytest.fixture
def pooled_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    with pgbouncer_for(database_url, folder, pool_size=CONNECTIONS) as url:
        yield url


async def chat(client: Client, number: int) -> None:
    """Two messages of a conversation, one whole and one streamed."""
    first = await client.ask(client_message_id=f"first-{number}")
    events = await client.stream(client_message_id=f"second-{number}", conversation_id=first["conversation_id"])
    assert [events[0].name, events[-1].name, events[-1].data["text"]] == ["start", "final", ANSWER]
    again = await client.ask(client_message_id=f"first-{number}")
    assert again == {**first, "balance_credits": again["balance_credits"]}


async def ask_all(world: World, client: Client) -> None:
    """Use what asks by plain statements and what asks by sessions, all at once."""

    async def read() -> None:
        for path in ("/v1/conversations", "/v1/ledger", "/v1/me", "/v1/balance"):
            assert (await client.http.get(path)).status_code == 200

    await asyncio.gather(*(chat(client, number) for number in range(AT_ONCE)), *(read() for _ in range(AT_ONCE)))
    # A session's hash and the outbox use arrays, which asyncpg asks PostgreSQL about.
    asked = await client.http.post("/auth/request-link", json={"email": "nobody@example.test"})
    assert asked.status_code == 202
    assert (await client.http.get("/v1/me", headers={"Authorization": "", "Cookie": "session=x"})).status_code == 401

    async def decided() -> bool:
        rows = await world.rows("SELECT FROM login_challenges WHERE state = 'requested'")
        return not rows

    await until(decided)


async def test_product_api_serves_and_sweeps(database_url: str, pooled_url: str, tmp_path: Path) -> None:
    # Waiting for one of few connections is the point here, so it may take as long as a busy machine makes it.
    patience = {"DATABASE_ACQUIRE_TIMEOUT_SECONDS": "60", "DATABASE_STATEMENT_TIMEOUT_SECONDS": "60"}
    settings = {"DATABASE_PGBOUNCER": "true", "CHAT_LEASE_SECONDS": "1", "MAIL_POLL_SECONDS": "0.2", **patience}
    async with fake_gateway() as gateway, open_world(database_url) as world:
        person = await world.person()
        async with (
            product_process(tmp_path, pooled_url, gateway.url, **settings) as (url, _),
            client_of(url, person) as client,
        ):
            await ask_all(world, client)
            gateway.reply = Gate("Once ")
            left = asyncio.create_task(client.send(client_message_id="left"))
            await gateway.call(2 * AT_ONCE + 1)
        # That process was killed in mid-answer; the next one finds out by the lease.
        assert isinstance((await asyncio.gather(left, return_exceptions=True))[0], Exception)
        async with product_process(tmp_path, pooled_url, gateway.url, **settings):

            async def given_up() -> bool:
                return bool((await world.answer(person))["status"] == "error")

            await until(given_up)
        await world.check_books()
    verified = run("ledger", "verify", environ=clean_environ(tmp_path, DATABASE_URL=pooled_url, **settings))
    assert verified.returncode == 0, verified.stderr


def test_migrations_and_commands_work_and_wait_for_each_other(postgres_url: str, tmp_path: Path) -> None:
    name = f"b2b_chat_test_{secrets.token_hex(6)}"
    run_sql(postgres_url, f"CREATE DATABASE {name}")
    try:
        url = urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        with pgbouncer_for(url, tmp_path, pool_size=CONNECTIONS + 1) as pooled_url:
            environ = clean_environ(tmp_path, DATABASE_URL=pooled_url, DATABASE_PGBOUNCER="true")
            with started("migrate", environ=environ) as one, started("migrate", environ=environ) as other:
                for migrating in (one, other):
                    _, problem = migrating.communicate(timeout=60)
                    assert migrating.returncode == 0, problem
            made = run("operator-create", "ops@example.test", environ=environ)
            assert made.returncode == 0, made.stderr
            assert made.stdout.startswith("b2b_")
    finally:
        run_sql(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
