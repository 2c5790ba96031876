"""When sessions and keys were last used, gathered in memory and written once in a while.

Writing at every request would cost each a commit. What is lost when a process is killed is a minute.
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
    """What was used since the last writing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sessions: dict[UUID, datetime] = {}
        self._api_keys: dict[UUID, datetime] = {}

    def note(self, viewer: Viewer) -> None:
        """Remember that a caller's session or key was used now."""
        uses = self._sessions if viewer.via == "session" else self._api_keys
        uses[viewer.credential_id] = self._clock()

    async def write(self) -> None:
        """Write down what was used since the last time."""
        sessions, self._sessions = self._sessions, {}
        api_keys, self._api_keys = self._api_keys, {}
        if sessions or api_keys:
            async with self._database.connection() as connection:
                await note_uses(connection, sessions=sessions, api_keys=api_keys)

    async def finish(self) -> None:
        """Do so a last time, if the database is there."""
        try:
            await self.write()
        except DATABASE_OUTAGES as error:
            log.warning("database_unavailable", exc_info=error)
