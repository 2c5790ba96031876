"""What is kept of a call of the completions for its replay is erased when no replay may need it any more."""

from typing import Final

from b2b_chat.kit.connections import Connection
from b2b_chat.kit.database import Database

_BATCH: Final = 100

# Locked first and looked at then: another try of a failed answer shares the lock, and is seen once it is admitted.
_LOCK_OLD: Final = """
    SELECT id FROM conversations
    WHERE origin = 'completions' AND deleted_at IS NULL AND created_at < now() - make_interval(secs => $1)
    ORDER BY created_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
"""

# No call has this fingerprint, so that a used key is refused rather than answered with nothing.
_ERASE: Final = """
    WITH old AS (
        SELECT id FROM unnest($1::uuid[]) AS old (id)
        WHERE NOT EXISTS (
            SELECT FROM messages WHERE conversation_id = old.id AND status IN ('pending', 'streaming')
        )
    ), erased AS (
        UPDATE messages SET text = '', fingerprint = '', masks = NULL, masked_by = NULL, beside_text = NULL
        FROM old WHERE conversation_id = old.id
    )
    UPDATE conversations SET title = '', deleted_at = now() FROM old WHERE conversations.id = old.id
"""


class CallTexts:
    """The texts of calls, kept for their replay."""

    def __init__(self, database: Database, *, keep_seconds: int) -> None:
        self._database = database
        self._keep_seconds = keep_seconds

    async def erase_old(self) -> int:
        """Erase those that are older than they are kept for, and return of how many calls."""
        total = 0
        while erased := await self._database.run(self._erase_some):
            total += erased
        return total

    async def _erase_some(self, db: Connection) -> int:
        async with db.transaction():
            old = [row["id"] for row in await db.fetch(_LOCK_OLD, float(self._keep_seconds), _BATCH)]
            done = await db.execute(_ERASE, old)
        return int(done.rpartition(" ")[2])
