"""Messages enter the index for searches behind the chats that write them, so that no chat pays for it."""

from typing import Final

from b2b_chat.kit.database import Database

_BATCH: Final = 25
"""Their rows are locked together, for about as many milliseconds times five."""

# The job never waits for a row, so it cannot be part of a deadlock. An answer that is being written has no text.
_INDEX: Final = """
    UPDATE messages SET is_searchable = true
    WHERE id IN (
        SELECT id FROM messages WHERE NOT is_searchable AND completed_at IS NOT NULL
        LIMIT $1
        FOR NO KEY UPDATE SKIP LOCKED
    )
"""


class SearchIndex:
    """Keeps the index for searches up with the messages; also of a release that knew of none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def catch_up(self) -> None:
        """Let all messages enter that have not, some at a time."""
        while await self._enter() == _BATCH:
            pass

    async def _enter(self) -> int:
        done = await self._database.run(lambda db: db.execute(_INDEX, _BATCH))
        return int(done.rpartition(" ")[2])
