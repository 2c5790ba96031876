"""Emptying the outbox: each mail once, through outages of the mail server and deaths of senders."""

import asyncio
from contextlib import suppress

import pytest

from b2b_chat.kit.database import Database
from b2b_chat.product.mail.letters import Letter
from b2b_chat.product.mail.sender import Sender
from b2b_chat.product.mail.service import Outbox, Seal
from b2b_chat.product.mail.smtp import Smtp, SmtpOptions
from b2b_chat.product.transactions import transaction_factory
from support.database.world import World
from support.product.login_services import MovableClock
from support.product.mailbox import Mailbox
from support.product.outbox import SECRET, make_sender, post, state


async def test_a_letter_is_sent_and_its_content_forgotten(world: World, clock: MovableClock, box: Mailbox) -> None:
    to = await post(world, clock)
    async with box.listening():
        await make_sender(world, clock, box).send_due()
    (mail,) = box.to(to)
    row = await world.row("SELECT * FROM mails WHERE recipient = $1", to)
    assert (row["state"], row["attempts"], row["sealed_fields"], row["resolved_at"]) == ("sent", 1, None, clock())
    assert mail.message_id == f"<{row['id']}@example.test>"


async def test_a_rolled_back_mail_is_not_sent(world: World, clock: MovableClock) -> None:
    outbox = Outbox(Seal(SECRET, None), clock)
    with suppress(ZeroDivisionError):
        async with transaction_factory(world.database)() as tx:
            await outbox.post(tx, Letter("test", "en", "a@example.test", {"at": "now"}), useful_until=clock())
            raise ZeroDivisionError
    assert await world.rows("SELECT 1 FROM mails") == []


async def test_many_senders_send_each_once(world: World, clock: MovableClock, box: Mailbox) -> None:
    addresses = [await post(world, clock) for _ in range(30)]
    async with box.listening():
        await asyncio.gather(*[make_sender(world, clock, box).send_due() for _ in range(5)])
    assert sorted(mail.to for mail in box.mails) == sorted(addresses)


async def test_a_server_that_is_down_is_tried_again_until_it_is_back(
    world: World, clock: MovableClock, box: Mailbox
) -> None:
    to = await post(world, clock)
    sender = make_sender(world, clock, box)
    waits = []
    for _ in range(5):
        await sender.send_due()
        row = await world.row("SELECT state, problem, due_at FROM mails WHERE recipient = $1", to)
        assert (row["state"], row["problem"]) == ("pending", "server_unreachable")
        waits.append(int((row["due_at"] - clock()).total_seconds()))
        clock.now = row["due_at"]
    assert waits == [2, 4, 8, 16, 32]
    async with box.listening():
        await sender.send_due()
        clock.pass_time(days=1)
        await sender.send_due()
    assert len(box.to(to)) == 1
    assert await state(world, to) == ("sent", None, 6)


async def test_a_slow_server_gets_it_once(world: World, clock: MovableClock, box: Mailbox) -> None:
    to = await post(world, clock)
    box.pause_seconds = 0.5
    async with box.listening():
        await asyncio.gather(make_sender(world, clock, box).send_due(), make_sender(world, clock, box).send_due())
    assert len(box.to(to)) == 1
    assert (await state(world, to))[0] == "sent"


async def test_one_slow_mail_holds_up_no_other(world: World, clock: MovableClock, box: Mailbox) -> None:
    box.pause_seconds = 30
    slow = await post(world, clock)
    sender = make_sender(world, clock, box)
    async with box.listening():
        sending = asyncio.create_task(sender.send_due())
        async with asyncio.timeout(10):
            while not box.begun:  # noqa: ASYNC110 - the mailbox has no event for it
                await asyncio.sleep(0.01)
        box.pause_seconds = 0
        quick = await post(world, clock)
        await make_sender(world, clock, box).send_due()
        assert (await state(world, quick))[0] == "sent"
        assert (await state(world, slow))[0] == "pending"
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


async def test_a_server_that_never_ends_is_given_up_in_time(world: World, clock: MovableClock, box: Mailbox) -> None:
    to = await post(world, clock)
    box.pause_seconds = 30
    async with box.listening():
        await make_sender(world, clock, box, timeout_seconds=0.3).send_due()
        assert await state(world, to) == ("pending", "server_timeout", 1)


async def test_one_whose_sender_died_is_sent_when_its_lease_is_over(
    world: World, clock: MovableClock, box: Mailbox
) -> None:
    to = await post(world, clock)
    await make_sender(world, clock, box, timeout_seconds=10)._claim()  # and is killed
    async with box.listening():
        sender = make_sender(world, clock, box)
        clock.pass_time(seconds=39)
        await sender.send_due()
        assert not box.mails
        clock.pass_time(seconds=1)
        await sender.send_due()
    assert len(box.to(to)) == 1


async def test_a_late_sender_does_not_undo_what_the_next_one_did(
    world: World, clock: MovableClock, box: Mailbox
) -> None:
    to = await post(world, clock)
    late = make_sender(world, clock, box)
    (claimed,) = await late._claim()
    clock.pass_time(minutes=2)
    async with box.listening():
        await make_sender(world, clock, box).send_due()
    await late._put_off(claimed, "server_timeout")
    assert await state(world, to) == ("sent", None, 2)


async def test_being_stopped_finishes_what_is_being_handed_over(
    world: World, clock: MovableClock, box: Mailbox
) -> None:
    to = await post(world, clock)
    box.pause_seconds = 0.3
    async with box.listening():
        sending = asyncio.create_task(make_sender(world, clock, box).send_due())
        async with asyncio.timeout(10):
            while not box.begun:  # noqa: ASYNC110 - the mailbox has no event for it
                await asyncio.sleep(0.01)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert await state(world, to) == ("sent", None, 1)


async def test_a_short_outage_of_the_database_does_not_send_twice(
    world: World, clock: MovableClock, box: Mailbox
) -> None:
    to = await post(world, clock)
    box.pause_seconds = 0.2
    async with box.listening():
        sending = asyncio.create_task(make_sender(world, clock, box).send_due())
        async with asyncio.timeout(10):
            while not box.begun:  # noqa: ASYNC110 - the mailbox has no event for it
                await asyncio.sleep(0.01)
        await world.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await sending
    assert len(box.to(to)) == 1
    assert await state(world, to) == ("sent", None, 1)


async def test_a_busy_database_does_not_send_twice(
    world: World, clock: MovableClock, box: Mailbox, database_url: str
) -> None:
    to = await post(world, clock)
    busy = Database(database_url, pool_size=1, session_pool_size=1, acquire_seconds=0.1, statement_seconds=10)
    smtp = SmtpOptions("127.0.0.1", box.port, None, None, "none", None, timeout_seconds=10)
    sender = Sender(transaction_factory(busy), Seal(SECRET, None), Smtp(smtp), "chat@example.test", clock)
    box.pause_seconds = 0.2
    async with box.listening():
        sending = asyncio.create_task(sender.send_due())
        async with asyncio.timeout(10):
            while not box.begun:  # noqa: ASYNC110 - the mailbox has no event for it
                await asyncio.sleep(0.01)
        async with busy.session() as session:  # the only connection that there is
            await session.connection()
            while not box.mails:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
        await sending
    await busy.close()
    assert len(box.to(to)) == 1
    assert await state(world, to) == ("sent", None, 1)
