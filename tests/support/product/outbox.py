"""Letters in the outbox, a sender that a test runs by hand, and what became of each mail."""

from datetime import timedelta
from typing import Final
from uuid import uuid4

from b2b_chat.kit.settings import Secret
from b2b_chat.product.mail.letters import Letter
from b2b_chat.product.mail.sender import Sender
from b2b_chat.product.mail.service import Outbox, Seal
from b2b_chat.product.mail.smtp import Smtp, SmtpOptions
from b2b_chat.product.transactions import transaction_factory
from support.database.world import World
from support.product.login_services import MovableClock
from support.product.mailbox import Mailbox

SECRET: Final = Secret("s" * 40)


def make_sender(
    world: World, clock: MovableClock, box: Mailbox, *, seal: Seal | None = None, timeout_seconds: float = 10
) -> Sender:
    """Return a sender to the mail server of a test."""
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
    """Return a mail's state, its problem and its attempts."""
    row = await world.row("SELECT state, problem, attempts FROM mails WHERE recipient = $1", to)
    return row["state"], row["problem"], row["attempts"]
