"""The sender: takes mails from the outbox, hands them to the server, and records the outcome.

A mail is sent once, as far as SMTP allows. It is leased for longer than the attempt takes, so that no two senders have
it, and its outcome is recorded at once. Only if the process dies between the two is it sent again, under the same
Message-ID.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final

import msgspec
import structlog
from prometheus_client import Counter

from b2b_chat.kit.clock import Clock
from b2b_chat.kit.database import is_outage
from b2b_chat.product.mail.letters import Letter, compose
from b2b_chat.product.mail.models import MailRow, MailState
from b2b_chat.product.mail.repository import MailRepository
from b2b_chat.product.mail.service import Seal
from b2b_chat.product.mail.smtp import MailDelayed, MailRefused, Smtp
from b2b_chat.product.transactions import TransactionFactory

_MAILS = Counter("product_mails", "Attempts at a mail, by how they ended.", ["outcome"])

log = structlog.get_logger(__name__)

AT_ONCE: Final = 4
"""Mails that one process sends concurrently."""
MAX_FAILURES: Final = 8
"""Attempts after which a mail that fails by our own fault is given up, about four minutes after the first."""
UNWRITABLE: Final = "unwritable"
"""The problem of a mail that cannot be composed: an unknown template, a missing field, an impossible address."""
UNSENDABLE: Final = "unsendable"
"""The problem of a mail whose sending fails in a way that no mail server causes."""
_LEASE_MARGIN: Final = timedelta(seconds=30)
_LONGEST_PAUSE_EXPONENT: Final = 6  # 64 s
_FINISH_SECONDS: Final = 5
_MARK_ATTEMPTS: Final = 5


class Sender:
    """Empties the outbox.

    Args:
        transaction: Opens a transaction.
        seal: What the letters were sealed with.
        smtp: The mail server.
        sender: The address, or `Name <address>`, that mails are from.
        clock: The current time.
    """

    def __init__(self, transaction: TransactionFactory, seal: Seal, smtp: Smtp, sender: str, clock: Clock) -> None:
        self._transaction = transaction
        self._seal = seal
        self._smtp = smtp
        self._sender = sender
        self._domain = parseaddr(sender)[1].rpartition("@")[2]
        self._clock = clock
        for outcome in (*MailState, "delayed"):
            _MAILS.labels(outcome)  # the first dead mail must be a rise, and not a new series
        self._lease = timedelta(seconds=smtp.timeout_seconds) + _LEASE_MARGIN

    async def send_due(self) -> None:
        """Try every mail that is due, several concurrently.

        When cancelled, mails that are being handed over get a moment to finish: an interrupted one might be sent
        twice.
        """
        while mails := await self._claim():
            sending = asyncio.gather(*[self._send(mail) for mail in mails])
            try:
                await asyncio.shield(sending)
            except asyncio.CancelledError:
                await asyncio.wait({sending}, timeout=_FINISH_SECONDS)
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending
                raise

    async def _claim(self) -> list[MailRow]:
        now = self._clock()
        async with self._transaction() as tx:
            return list(await tx[MailRepository].claim_due(now=now, leased_until=now + self._lease, limit=AT_ONCE))

    async def _send(self, mail: MailRow) -> None:
        """Try a mail. An unforeseen failure delays no other mail, and does not repeat for ever."""
        try:
            await self._try(mail)
        except Exception as error:
            log.exception("mail_failed", mail_id=mail.id, attempt=mail.attempts)
            if not is_outage(error):  # while the database is away the lease is the pause
                await self._fail(mail, UNSENDABLE)

    async def _try(self, mail: MailRow) -> None:
        if self._clock() >= mail.useful_until:
            await self._resolve(mail, MailState.DEAD, mail.problem or "too_late")
            return
        try:
            message = self._compose(mail)
        except Exception:
            log.exception("mail_not_composed", mail_id=mail.id, attempt=mail.attempts)
            await self._fail(mail, UNWRITABLE)
            return
        if message is None:
            await self._resolve(mail, MailState.DEAD, "secret_unknown")
            return
        try:
            await self._smtp.send(message)
        except MailRefused as refusal:
            await self._resolve(mail, MailState.DEAD, refusal.code)
        except MailDelayed as delay:
            await self._put_off(mail, delay.code)
        else:
            await self._resolve(mail, MailState.SENT, None)

    async def _fail(self, mail: MailRow, problem: str) -> None:
        """Count a failure of our own: another release may know the letter, so it is tried again, but not for days."""
        try:
            if mail.attempts >= MAX_FAILURES and mail.problem == problem:
                await self._resolve(mail, MailState.DEAD, problem)
            else:
                await self._put_off(mail, problem)
        except Exception:
            log.exception("mail_not_put_off", mail_id=mail.id, attempt=mail.attempts)

    def _compose(self, mail: MailRow) -> EmailMessage | None:
        """Return the mail to send; None if it was sealed under a secret that is no longer known."""
        letter = self._letter(mail)
        if letter is None:
            return None
        return compose(
            letter, sender=self._sender, message_id=f"<{mail.id}@{self._domain}>", written_at=mail.created_at
        )

    def _letter(self, mail: MailRow) -> Letter | None:
        fields = self._seal.open(mail.sealed_fields or b"")
        if fields is None:
            return None
        return msgspec.convert(
            {"name": mail.template, "language": mail.language, "recipient": mail.recipient, "fields": fields}, Letter
        )

    async def _put_off(self, mail: MailRow, problem: str) -> None:
        due_at = self._clock() + timedelta(seconds=2 ** min(mail.attempts, _LONGEST_PAUSE_EXPONENT))
        if due_at >= mail.useful_until:
            await self._resolve(mail, MailState.DEAD, problem)
            return
        _MAILS.labels("delayed").inc()
        log.warning("mail_delayed", mail_id=mail.id, attempt=mail.attempts, problem=problem)
        async with self._transaction() as tx:
            await tx[MailRepository].put_off(mail.id, mail.attempts, problem=problem, due_at=due_at)

    async def _resolve(self, mail: MailRow, state: MailState, problem: str | None) -> None:
        """Record the outcome of a mail, also through a short outage of the database, or it would be sent again."""
        for pause_seconds in range(_MARK_ATTEMPTS):
            try:
                async with self._transaction() as tx:
                    await tx[MailRepository].resolve(mail.id, mail.attempts, state, problem=problem, now=self._clock())
                break
            except Exception as error:
                if not is_outage(error) or pause_seconds == _MARK_ATTEMPTS - 1:
                    raise
            await asyncio.sleep(pause_seconds)
        _MAILS.labels(state.value).inc()
        if state is MailState.DEAD:
            log.error("mail_dead", mail_id=mail.id, attempt=mail.attempts, problem=problem)
        else:
            log.info("mail_sent", mail_id=mail.id, attempt=mail.attempts)
