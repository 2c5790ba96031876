"""Mails that are given up, and those that are not, though sending them failed."""

from datetime import timedelta
from uuid import uuid4

import pytest

from b2b_chat.kit.settings import Secret
from b2b_chat.product.mail.sender import MAX_FAILURES, UNSENDABLE, UNWRITABLE
from b2b_chat.product.mail.service import Seal
from support.database.world import World
from support.product.login_services import MovableClock
from support.product.mailbox import Mailbox
from support.product.outbox import SECRET, make_sender, post, state


@pytest.mark.parametrize(("command", "code"), [("RCPT", "recipient_refused"), ("DATA", "message_refused")])
async def test_a_permanently_refused_mail_is_dead(
    world: World, clock: MovableClock, box: Mailbox, command: str, code: str
) -> None:
    to = await post(world, clock)
    box.answers[command] = "550 never"
    async with box.listening():
        sender = make_sender(world, clock, box)
        await sender.send_due()
        clock.pass_time(minutes=5)
        await sender.send_due()
    assert await state(world, to) == ("dead", code, 1)
    row = await world.row("SELECT sealed_fields FROM mails WHERE recipient = $1", to)
    assert row["sealed_fields"] is None


async def test_an_expired_mail_is_dead(world: World, clock: MovableClock, box: Mailbox) -> None:
    tried = await post(world, clock, useful=timedelta(seconds=6))
    sender = make_sender(world, clock, box)
    await sender.send_due()
    clock.pass_time(seconds=2)
    await sender.send_due()  # the next attempt would be too late
    assert await state(world, tried) == ("dead", "server_unreachable", 2)
    untried = await post(world, clock, useful=timedelta(seconds=6))
    clock.pass_time(seconds=7)
    async with box.listening():
        await sender.send_due()
    assert await state(world, untried) == ("dead", "too_late", 1)
    assert not box.mails


async def test_one_that_was_sealed_under_a_forgotten_secret_is_dead(
    world: World, clock: MovableClock, box: Mailbox
) -> None:
    old, older = await post(world, clock), await post(world, clock)
    rotated = Seal(Secret("t" * 40), SECRET)
    async with box.listening():
        first = make_sender(world, clock, box, seal=rotated)
        (claimed, waiting) = await first._claim()
        await first._send(claimed)
        clock.pass_time(minutes=2)
        await make_sender(world, clock, box, seal=Seal(Secret("u" * 40), Secret("t" * 40))).send_due()
    assert (await state(world, claimed.recipient))[0] == "sent"
    assert (await state(world, waiting.recipient))[:2] == ("dead", "secret_unknown")
    assert {old, older} == {claimed.recipient, waiting.recipient}


DEFECTS = {
    "a template that is not there": "template = 'nothing'",
    "a language that is not there": "language = 'xx'",
    "a field that is missing": "template = 'login'",
    "an address that is none": "recipient = id || '@\nexample.test'",
}


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_letter_with_a_defect_holds_up_no_other_and_ends(
    world: World, clock: MovableClock, box: Mailbox, defect: str
) -> None:
    await post(world, clock, useful=timedelta(days=7))
    await world.rows(f"UPDATE mails SET {DEFECTS[defect]}")  # noqa: S608 - our own
    sender = make_sender(world, clock, box)
    waited = timedelta()
    async with box.listening():
        good = await post(world, clock)
        await sender.send_due()
        assert len(box.to(good)) == 1
        broken = "SELECT state, problem, attempts, sealed_fields FROM mails WHERE recipient <> $1"
        row = await world.row(broken, good)
        assert (row["state"], row["attempts"]) == ("pending", 1)
        assert row["problem"] in {UNWRITABLE, UNSENDABLE}
        while (row := await world.row(broken, good))["state"] == "pending":
            clock.pass_time(seconds=32)
            waited += timedelta(seconds=32)
            await sender.send_due()
            assert waited < timedelta(minutes=10), "it is tried for ever"
    assert (row["state"], row["attempts"], row["sealed_fields"]) == ("dead", MAX_FAILURES, None)
    assert row["problem"] in {UNWRITABLE, UNSENDABLE}


async def test_an_address_that_the_server_has_no_way_to_take_is_dead_at_once(
    world: World, clock: MovableClock, box: Mailbox
) -> None:
    to = await post(world, clock, to=f"анна{uuid4()}@example.test")
    async with box.listening():
        await make_sender(world, clock, box).send_due()
    assert await state(world, to) == ("dead", "address_not_supported", 1)


async def test_a_letter_that_another_release_can_write_is_sent(world: World, clock: MovableClock, box: Mailbox) -> None:
    to = await post(world, clock)
    await world.rows("UPDATE mails SET template = 'new' WHERE recipient = $1", to)
    async with box.listening():
        await make_sender(world, clock, box).send_due()
        await world.rows("UPDATE mails SET template = 'test' WHERE recipient = $1", to)
        clock.pass_time(seconds=2)
        await make_sender(world, clock, box).send_due()
    assert await state(world, to) == ("sent", None, 2)
