"""An operator does nothing to another alone: it takes a second one, or the shell."""

import asyncio
from uuid import UUID

import pytest
from click.testing import CliRunner

from b2b_chat.cli import main
from support.database.world import World
from support.product.app import error_of
from support.product.sessions import add_operator, http_client

REFUSED = (403, "second_operator_required")


async def is_blocked(world: World, user_id: UUID) -> bool:
    return (await world.row("SELECT blocked_at FROM users WHERE id = $1", user_id))["blocked_at"] is not None


async def test_two_operators_block_and_unblock_a_third(world: World, product_url: str) -> None:
    third, key = await add_operator(world)
    async with (
        http_client(product_url, key=(await add_operator(world))[1]) as first,
        http_client(product_url, key=(await add_operator(world))[1]) as second,
        http_client(product_url, key=key) as theirs,
    ):
        for act, after in (("block", 403), ("unblock", 200)):
            path = f"/admin/users/{third}/{act}"
            before = (await theirs.get("/admin/users")).status_code
            assert [error_of(await first.post(path)) for _ in range(2)] == [REFUSED] * 2
            assert (await theirs.get("/admin/users")).status_code == before
            assert (await second.post(path)).status_code == 200
            assert (await theirs.get("/admin/users")).status_code == after
            # What was wanted once is done once.
            assert error_of(await second.post(path)) == REFUSED
    rows = await world.rows(
        "SELECT action, outcome, reason FROM audit_log WHERE $1 = ANY(target_ids) ORDER BY at, id", str(third)
    )
    assert [(row["action"], row["outcome"]) for row in rows] == [
        ("user.block", "refused"),
        ("user.block", "ok"),
        ("user.block", "refused"),
        ("user.unblock", "refused"),
        ("user.unblock", "ok"),
        ("user.unblock", "refused"),
    ]


@pytest.mark.parametrize(
    "voided",
    [
        "UPDATE operator_approvals SET approved_at = now() - interval '61 minutes' WHERE user_id = $1",
        "UPDATE users SET blocked_at = now() WHERE id = $1",
        "DELETE FROM operators WHERE user_id = $1",
    ],
    ids=["an hour ago", "blocked meanwhile", "no operator any more"],
)
async def test_the_first_ones_wish_does_not_count(world: World, product_url: str, voided: str) -> None:
    third, _ = await add_operator(world)
    first_id, first_key = await add_operator(world)
    path = f"/admin/users/{third}/block"
    async with (
        http_client(product_url, key=first_key) as first,
        http_client(product_url, key=(await add_operator(world))[1]) as second,
    ):
        assert error_of(await first.post(path)) == REFUSED
        await world.rows(voided, first_id)
        assert error_of(await second.post(path)) == REFUSED
    assert not await is_blocked(world, third)


async def test_a_wish_to_block_is_none_to_unblock_nor_one_about_another(world: World, product_url: str) -> None:
    third, fourth = (await add_operator(world))[0], (await add_operator(world))[0]
    async with (
        http_client(product_url, key=(await add_operator(world))[1]) as first,
        http_client(product_url, key=(await add_operator(world))[1]) as second,
    ):
        assert error_of(await first.post(f"/admin/users/{third}/block")) == REFUSED
        assert error_of(await second.post(f"/admin/users/{third}/unblock")) == REFUSED
        assert error_of(await second.post(f"/admin/users/{fourth}/block")) == REFUSED


async def test_one_operator_is_enough_for_everyone_else(world: World, product_url: str) -> None:
    person = await world.person()
    own_id, own_key = await add_operator(world)
    async with http_client(product_url, key=own_key) as http:
        assert (await http.post(f"/admin/users/{person.user_id}/block")).status_code == 200
        assert (await http.post(f"/admin/users/{own_id}/block")).status_code == 200


async def test_the_shell_needs_no_second_one(world: World, database_url: str) -> None:
    operator_id, _ = await add_operator(world)
    shell = CliRunner(env={"DATABASE_URL": database_url})
    done = await asyncio.to_thread(shell.invoke, main, ["user-block", str(operator_id)])
    assert done.exit_code == 0, done.output
    assert await is_blocked(world, operator_id)
