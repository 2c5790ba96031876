"""Operators' keys end by themselves, are listed, and are revoked one by one."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest
from click.testing import CliRunner

from b2b_chat.cli import main
from support.database.world import World
from support.processes.commands import clean_environ
from support.product.app import error_of
from support.product.sessions import add_operator, add_session, add_user, http_client

README: Final = Path(__file__).parents[4] / "deploy/README.md"
IN_THE_SHELL_OF_A_SERVER: Final = """
docker() { shift 5; "%s" -m b2b_chat.cli "$@"; }
"""


async def printed(database_url: str, *arguments: str) -> str:
    """What a command prints that must succeed."""
    done = await asyncio.to_thread(CliRunner(env={"DATABASE_URL": database_url}).invoke, main, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


async def listed(http: httpx.AsyncClient, api_key_id: str) -> dict[str, Any]:
    """A key as the list of all operators' keys shows it."""
    cursor = None
    while True:
        page = (await http.get("/admin/keys", params={"cursor": cursor} if cursor else {})).json()
        for each in page["items"]:
            if each["id"] == api_key_id:
                found: dict[str, Any] = each
                return found
        cursor = page["next_cursor"]
        if cursor is None:
            raise LookupError(api_key_id)


async def status_with(url: str, key: str) -> int:
    """How `/admin` answers this key."""
    async with http_client(url, key=key) as http:
        return (await http.get("/admin/companies")).status_code


async def test_another_key_is_made_and_the_first_revoked_as_the_guide_says(
    world: World, product_url: str, database_url: str, tmp_path: Path
) -> None:
    section = README.read_text(encoding="utf-8").partition("\n**An operator's key**")[2].partition("\n**")[0]
    block = section.partition("```sh\n")[2].partition("```")[0]
    assert "operator-create" in block
    _, email = await add_user(world, f"{uuid4()}@example.test")
    first, other = [await printed(database_url, "operator-create", email) for _ in range(2)]
    script = IN_THE_SHELL_OF_A_SERVER % sys.executable + block.replace("YOU@YOUR.DOMAIN", email)
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop
        ["/bin/bash", "-euc", script.replace("b2b_1a2b3c4d", first[:12])],
        env=clean_environ(tmp_path, DATABASE_URL=database_url),
        capture_output=True,
        text=True,
        check=True,
    )
    made = next(line for line in done.stdout.splitlines() if line.startswith("b2b_") and " " not in line)
    assert [await status_with(product_url, key) for key in (first, other, made)] == [401, 200, 200]
    assert f'"prefix":"{first[:12]}"' in done.stdout
    assert first not in done.stdout


async def test_a_key_of_the_shell_ends(world: World, product_url: str, database_url: str) -> None:
    _, email = await add_user(world)
    key = await printed(database_url, "operator-create", email, "--expires-in-days", "30")
    row = await world.row("SELECT * FROM api_keys WHERE prefix = $1", key[:12])
    assert timedelta(days=29) < row["expires_at"] - datetime.now(UTC) < timedelta(days=30)
    assert row["made_in_shell"]
    assert await status_with(product_url, key) == 200
    await world.rows("UPDATE api_keys SET expires_at = now() WHERE id = $1", row["id"])
    assert await status_with(product_url, key) == 401
    for days in ("0", "367"):
        assert CliRunner().invoke(main, ["operator-create", email, "--expires-in-days", days]).exit_code == 2


async def test_an_operator_makes_lists_and_revokes_keys_of_their_own(world: World, product_url: str) -> None:
    operator_id, _ = await add_operator(world)
    async with http_client(product_url, session=await add_session(world, operator_id)) as browser:
        made = (await browser.post("/admin/keys", json={"name": "robot", "expires_in_days": 7})).json()
        assert await status_with(product_url, made["key"]) == 200
        shown = await listed(browser, made["api_key"]["id"])
        assert shown == {**made["api_key"], "last_used_at": shown["last_used_at"]}
        assert (shown["made_in_shell"], shown["user_id"]) == (False, str(operator_id))
        expires_at = datetime.fromisoformat(shown["expires_at"])
        assert timedelta(days=6) < expires_at - datetime.now(UTC) < timedelta(days=7)
        path = f"/admin/keys/{made['api_key']['id']}"
        assert [(await browser.delete(path)).status_code for _ in range(2)] == [204, 204]
        assert await status_with(product_url, made["key"]) == 401
        assert (await listed(browser, made["api_key"]["id"]))["revoked_at"]
        assert error_of(await browser.delete(f"/admin/keys/{uuid4()}")) == (404, "api_key_not_found")
        for wrong in ({"name": "robot", "expires_in_days": 367}, {"name": ""}, {"name": "robot", "scopes": ["chat"]}):
            assert (await browser.post("/admin/keys", json=wrong)).status_code == 400


async def test_a_key_makes_no_key(http: httpx.AsyncClient) -> None:
    assert error_of(await http.post("/admin/keys", json={"name": "robot"})) == (403, "session_required")


async def test_a_companys_key_is_not_found_among_operators_keys(world: World, http: httpx.AsyncClient) -> None:
    person = await world.person()
    key = await world.row("SELECT id FROM api_keys WHERE user_id = $1", person.user_id)
    assert error_of(await http.delete(f"/admin/keys/{key['id']}")) == (404, "api_key_not_found")
    with pytest.raises(LookupError):
        await listed(http, str(key["id"]))


async def test_another_operators_key_is_revoked_by_two(world: World, product_url: str) -> None:
    of_third: UUID = (await add_operator(world))[0]
    key = await world.row("SELECT id FROM api_keys WHERE user_id = $1", of_third)
    path = f"/admin/keys/{key['id']}"
    async with (
        http_client(product_url, key=(await add_operator(world))[1]) as first,
        http_client(product_url, key=(await add_operator(world))[1]) as second,
    ):
        assert [error_of(await first.delete(path)) for _ in range(2)] == [(403, "second_operator_required")] * 2
        assert (await second.delete(path)).status_code == 204
    assert (await world.row("SELECT revoked_at FROM api_keys WHERE id = $1", key["id"]))["revoked_at"]
