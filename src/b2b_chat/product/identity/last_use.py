"""The last use of sessions and keys, collected in memory and written now and then.

A write for each request would cost each a commit. A killed process loses at most a minute.
"""

from datetime import datetime
from uuid import UUID

import structlog

from b2b_chat.kit.clock import Clock
from b2b_chat.kit.database import DATABASE_OUTAGES, Database
from b2b_chat.product.identity.repository.credentials import note_uses
from b2b_chat.product.viewer import Viewer

log = structlog.get_logger(__name__)


class LastUse:
    """The sessions and keys that were used since the last write."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sessions: dict[UUID, datetime] = {}
        self._api_keys: dict[UUID, datetime] = {}

    def note(self, viewer: Viewer) -> None:
        """Remember that a caller used this session or key now."""
        uses = self._sessions if viewer.via == "session" else self._api_keys
        uses[viewer.credential_id] = self._clock()

    async def write(self) -> None:
        """Write what was used since the last time."""
        sessions, self._sessions = self._sessions, {}
        api_keys, self._api_keys = self._api_keys, {}
        if sessions or api_keys:
            async with self._database.connection() as connection:
                await note_uses(connection, sessions=sessions, api_keys=api_keys)

    async def finish(self) -> None:
        """Write a last time, if the database is there."""
        try:
            await self.write()
        except DATABASE_OUTAGES as error:
            log.warning("database_unavailable", exc_info=error)
