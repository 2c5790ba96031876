"""Frequent actions are counted, because nothing can be removed from the audit log.

The first action of a minute is recorded at once. Repetitions by the same actor within the minute are one more row with
a count, written when the minute is over. A killed process loses a count at most, never the fact of an action.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.kit.database import DATABASE_OUTAGES
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.transactions import TransactionFactory

log = structlog.get_logger(__name__)

_MINUTE: Final = timedelta(minutes=1)
_MAX_TARGETS: Final = 200
"""Targets that a row with a count names at most."""

Targets = Mapping[str, UUID | str]


class _Deed(NamedTuple):
    """What is counted together."""

    actor: Actor
    action: Action
    refusal: str | None
    company_id: str | None
    """Of the company whose row it is."""


class _Tally:
    """How often a deed was done again since its first row."""

    def __init__(self, over_at: datetime) -> None:
        self.over_at = over_at
        self.count = 0
        self.first_at = self.last_at = over_at
        self.targets: dict[str, str] = {}
        self.target_ids: dict[str, None] = {}

    def add(self, targets: Targets, now: datetime) -> None:
        """Count once more."""
        named = {name: str(value) for name, value in targets.items()}
        self.first_at = self.first_at if self.count else now
        self.targets = dict(self.targets.items() & named.items()) if self.count else named
        self.last_at = now
        self.count += 1
        for value in named.values():
            if len(self.target_ids) < _MAX_TARGETS:
                self.target_ids[value] = None


class Tallies:
    """Records deeds that may be many, in transactions of their own."""

    def __init__(self, transaction: TransactionFactory, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._clock = clock
        self._tallies: dict[_Deed, _Tally] = {}

    async def record(self, actor: Actor, action: Action, *, targets: Targets, refusal: str | None = None) -> None:
        """Record a deed, or count it if this actor has done the same within the minute."""
        now = self._clock()
        company_id = None if refusal is not None or "company_id" not in targets else str(targets["company_id"])
        deed = _Deed(actor, action, refusal, company_id)
        tally = self._tallies.get(deed)
        if tally is not None and now < tally.over_at:
            tally.add(targets, now)
            return
        # Set before anything is awaited, so that of two at once one is the first.
        self._tallies[deed] = _Tally(now + _MINUTE)
        try:
            if tally is not None:
                await self._write(deed, tally)
            async with self._transaction() as tx:
                await record_action(tx, actor, action, targets=targets, refusal=refusal)
        except BaseException:
            # The next one is the first again, and nothing that was counted is forgotten.
            self._put_back(deed, tally)
            raise

    async def settle(self) -> None:
        """Write the counts of the minutes that are over."""
        now = self._clock()
        await self._settle([deed for deed, tally in self._tallies.items() if tally.over_at <= now])

    async def finish(self) -> None:
        """Write all counts before the process ends, if the database is there."""
        try:
            await self._settle(list(self._tallies))
        except DATABASE_OUTAGES as error:
            log.warning("database_unavailable", exc_info=error)

    async def _settle(self, deeds: list[_Deed]) -> None:
        for deed in deeds:
            tally = self._tallies.pop(deed, None)
            if tally is not None:
                try:
                    await self._write(deed, tally)
                except BaseException:
                    self._put_back(deed, tally)
                    raise

    async def _write(self, deed: _Deed, tally: _Tally) -> None:
        if not tally.count:
            return
        company = {} if deed.company_id is None else {"company_id": deed.company_id}
        after: dict[str, Any] = {"first_at": tally.first_at, "last_at": tally.last_at}
        if various := [each for each in tally.target_ids if each not in tally.targets.values()]:
            after["targets"] = various
        async with self._transaction() as tx:
            await record_action(
                tx,
                deed.actor,
                deed.action,
                targets=company | tally.targets,
                refusal=deed.refusal,
                after=after,
                count=tally.count,
                further_target_ids=various,
            )

    def _put_back(self, deed: _Deed, tally: _Tally | None) -> None:
        """Have a count that could not be written written later."""
        if tally is None or not tally.count:
            self._tallies.pop(deed, None)
        else:
            tally.over_at = self._clock()
            self._tallies[deed] = tally
