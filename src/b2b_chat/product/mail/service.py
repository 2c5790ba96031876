"""The outbox: where a use case leaves a letter, in its own transaction."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from prometheus_client import Gauge

from b2b_chat.kit.clock import Clock
from b2b_chat.kit.database import new_id
from b2b_chat.kit.settings import Secret
from b2b_chat.product.mail.letters import Letter, compose
from b2b_chat.product.mail.models import MailRow
from b2b_chat.product.mail.repository import MailRepository
from b2b_chat.product.transactions import Transaction, TransactionFactory

_KEEP: Final = timedelta(days=30)
"""How long a mail is kept after it was resolved."""
_NO_SENDER: Final = "nobody@localhost"
_WAITING = Gauge("product_outbox_mails", "Mails that wait to be sent, in the whole installation.")
_OLDEST_SECONDS = Gauge("product_outbox_oldest_seconds", "Age of the oldest mail that waits; 0 where none does.")


class Seal:
    """Encrypts what letters say while they wait, since links and codes must not be read from the database.

    Args:
        secret: The key of new letters is made from it.
        previous: The secret before it, under which letters may still be waiting.
    """

    def __init__(self, secret: Secret, previous: Secret | None) -> None:
        self._fernet = MultiFernet([Fernet(_key(known)) for known in (secret, previous) if known])

    def close(self, fields: dict[str, str]) -> bytes:
        """The fields of a letter, sealed."""
        return self._fernet.encrypt(msgspec.json.encode(fields))

    def open(self, sealed: bytes) -> dict[str, str] | None:
        """The fields of a letter; None if they were sealed under a secret that is known no more."""
        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed), type=dict[str, str])
        except InvalidToken:
            return None


class Outbox:
    """Letters to be sent."""

    def __init__(self, seal: Seal, clock: Clock) -> None:
        self._seal = seal
        self._clock = clock

    async def post(self, tx: Transaction, letter: Letter, *, useful_until: datetime) -> UUID:
        """Have a letter sent once the transaction is committed, and not at all if it is not.

        A letter that cannot be sent before `useful_until` is given up.
        """
        mail_id = new_id()
        now = self._clock()
        row = MailRow(
            id=mail_id,
            recipient=letter.recipient,
            template=letter.name,
            language=letter.language,
            sealed_fields=self._seal.close(letter.fields),
            created_at=now,
            due_at=now,
            useful_until=useful_until,
        )
        await tx[MailRepository].add(row)
        return mail_id

    def rehearse(self, letter: Letter) -> None:
        """Do the work for a letter that no one gets, as far as it is cheap: its time says not whether one was sent."""
        self._seal.close(letter.fields)
        compose(letter, sender=_NO_SENDER, message_id=f"<{new_id()}@localhost>", written_at=self._clock())

    async def forget_old(self, transaction: TransactionFactory) -> None:
        """Delete mails that were resolved long ago."""
        async with transaction() as tx:
            await tx[MailRepository].forget(resolved_before=self._clock() - _KEEP)

    async def measure(self, transaction: TransactionFactory) -> None:
        """Export the outbox's length and age as metrics."""
        async with transaction() as tx:
            count, oldest_created_at = await tx[MailRepository].count_pending()
        _WAITING.set(count)
        _OLDEST_SECONDS.set((self._clock() - oldest_created_at).total_seconds() if oldest_created_at else 0)


def _key(secret: Secret) -> bytes:
    digest = hmac.digest(secret.reveal().encode(), b"mail outbox", hashlib.sha256)
    return base64.urlsafe_b64encode(digest)
