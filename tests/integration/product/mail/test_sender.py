"""Emptying the outbox: each mail once, through outages of the mail server and deaths of senders."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from b2b_chat.kit.database import Database
from b2b_chat.kit.settings import Secret
from b2b_chat.product.mail.letters import Letter
from b2b_chat.product.mail.sender import MAX_FAILURES, UNSENDABLE, UNWRITABLE, Sender
from b2b_chat.product.mail.service import Outbox, Seal
from b2b_chat.product.mail.smtp import Smtp, SmtpOptions
from b2b_chat.product.transactions import transaction_factory
from support.database.world import World, open_world
from support.product.login_services import MovableClock
from support.product.mailbox import Mailbox

SECRET = Secret("s" * 40)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest_asyncio.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A world without mails: a sender takes whatever is there."""
    async with open_world(database_url) as world:
        await world.rows("DELETE FROM mails")
        yield world


@pytest.fixture
def box() -> Mailbox:
    return Mailbox()


def make_sender(
    world: World, clock: MovableClock, box: Mailbox, *, seal: Seal | None = None, timeout_seconds: float = 10
) -> Sender:
    smtp = Smtp(
        SmtpOptions(
            host="127.0.0.1", port=box.port, user=None, password=None, tls="none", ca_file=None,
            timeout_seconds=timeout_seconds,
        )
    )  # fmt: skip
    return Sender(
        transaction_factory(world.database), seal or Seal(SECRET, None), smtp, "Chat <chat@example.test>", clock
    )


async def post(
    world: World,
    clock: MovableClock,
    *,
    to: str | None = None,
    useful: timedelta = timedelta(minutes=10),
    name: str = "test",
) -> str:
    """Put a letter into the outbox, and return its address."""
    to = to or f"{uuid4()}@example.test"
    letter = Letter(name, "en", to, {"at": "now"})  # type: ignore[arg-type] # a test may name one that is not there
    async with transaction_factory(world.database)() as tx:
        await Outbox(Seal(SECRET, None), clock).post(tx, letter, useful_until=clock() + useful)
    return to


async def state(world: World, to: str) -> tuple[str, str | None, int]:
    row = await world.row("SELECT state, problem, attempts FROM mails WHERE recipient = $1", to)
    return row["state"], row["problem"], row["attempts"]


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
