"""A gate that lets so many through at once, and takes those that wait in turn by party, not by arrival."""

import asyncio
from collections import Counter, deque
from collections.abc import Hashable
from typing import Self


class FairGate:
    """So many at once, most of them of one party at most; those that wait come in by turns of their parties.

    A party of two hundred thus keeps another's one waiting for one turn, and one whose members are stuck inside leaves
    places for the others.

    Args:
        places: How many may be inside.
        places_of_party: How many of them one party may have.
    """

    def __init__(self, places: int, places_of_party: int) -> None:
        self._free = places
        self._places_of_party = places_of_party
        self._inside: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        """By party; the party whose turn is next comes first."""

    @classmethod
    def of(cls, places: int) -> Self:
        """A gate most of whose places one party may have."""
        return cls(places, max(1, places * 3 // 4))

    def passing(self, party: Hashable) -> "_Passage":
        """Be inside for a block: `async with gate.passing(party)`."""
        return _Passage(self, party)

    async def enter(self, party: Hashable) -> None:
        """Wait for the party's turn; who has entered must `leave`."""
        if self._free and self._inside[party] < self._places_of_party:
            self._free -= 1
            self._inside[party] += 1
        else:
            await self._wait(party)

    async def _wait(self, party: Hashable) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(party, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it came in the same moment
                self.leave(party)
            raise

    def leave(self, party: Hashable) -> None:
        """Make room for the next one."""
        self._free += 1
        self._inside[party] -= 1
        if not self._inside[party]:
            del self._inside[party]
        while self._free and (entering := self._next_party()) is not None:
            self._free -= 1
            self._inside[entering] += 1

    def _next_party(self) -> Hashable | None:
        """Let in the first that waits of the next party that may have one more, and return the party."""
        for party in [*self._waiting]:
            if self._inside[party] >= self._places_of_party:
                continue
            queue = self._waiting.pop(party)
            waiting = [turn for turn in queue if not turn.done()]
            if len(waiting) > 1:
                self._waiting[party] = deque(waiting[1:])  # behind all others
            if waiting:
                waiting[0].set_result(None)
                return party
        return None


class _Passage:
    """A block inside of a gate. Each chat has two; made by a generator each would cost 0.8 µs more."""

    __slots__ = ("_gate", "_party")

    def __init__(self, gate: FairGate, party: Hashable) -> None:
        self._gate = gate
        self._party = party

    async def __aenter__(self) -> None:
        await self._gate.enter(self._party)

    async def __aexit__(self, *_error: object) -> None:
        self._gate.leave(self._party)
