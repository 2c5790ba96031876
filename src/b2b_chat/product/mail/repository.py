"""SQL of the outbox."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Update, delete, func, select, update

from b2b_chat.kit.database import Session
from b2b_chat.product.mail.models import MailRow, MailState


class MailRepository:
    """The outbox, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, row: MailRow) -> None:
        """Add a mail."""
        self._session.add(row)
        await self._session.flush()

    async def claim_due(self, *, now: datetime, leased_until: datetime, limit: int) -> Sequence[MailRow]:
        """Lease mails that are due; no other sender gets them until the lease ends."""
        due = (
            select(MailRow.id)
            .where(MailRow.state == MailState.PENDING, MailRow.due_at <= now)
            .order_by(MailRow.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = (
            update(MailRow)
            .where(MailRow.id.in_(due.scalar_subquery()))
            .values(due_at=leased_until, attempts=MailRow.attempts + 1)
            .returning(MailRow)
        )
        return (await self._session.scalars(claimed)).all()

    async def count_pending(self) -> tuple[int, datetime | None]:
        """Return how many mails wait, and when the oldest of them was written."""
        pending = select(func.count(), func.min(MailRow.created_at)).where(MailRow.state == MailState.PENDING)
        count, oldest_created_at = (await self._session.execute(pending)).one()
        return count, oldest_created_at

    async def resolve(
        self, mail_id: UUID, attempt: int, state: MailState, *, problem: str | None, now: datetime
    ) -> bool:
        """Record that a mail is sent or dead and delete its content; return False if another sender has it by now."""
        resolved = _attempt(mail_id, attempt).values(state=state, problem=problem, resolved_at=now, sealed_fields=None)
        return await self._session.scalar(resolved.returning(MailRow.id)) is not None

    async def put_off(self, mail_id: UUID, attempt: int, *, problem: str, due_at: datetime) -> None:
        """Schedule another attempt at a mail, unless another sender has it by now."""
        await self._session.execute(_attempt(mail_id, attempt).values(problem=problem, due_at=due_at))

    async def forget(self, *, resolved_before: datetime) -> None:
        """Delete mails that were resolved long ago."""
        await self._session.execute(delete(MailRow).where(MailRow.resolved_at < resolved_before))


def _attempt(mail_id: UUID, attempt: int) -> Update:
    return update(MailRow).where(MailRow.id == mail_id, MailRow.attempts == attempt, MailRow.state == MailState.PENDING)
