"""Shares of something that is short: nobody may take so much of it that nothing is left for others."""

from collections import Counter
from collections.abc import Hashable
from typing import Final

_WHOLE: Final = 100


class Shares:
    """So many places, each taken by one party or another.

    A party may have at most so many times what is free (the dynamic thresholds of Choudhury and Hahne, 1998). One that
    is alone gets its share of all; where several want more than there is, each gets the same, and a part stays free
    for those who come next.

    Args:
        places: How many there are.
        share_percent: What a party may have of them that is alone.
    """

    def __init__(self, places: int, share_percent: int) -> None:
        self._places = places
        self._share_percent = share_percent
        self._taken: Counter[Hashable] = Counter()
        self._total = 0

    @property
    def total(self) -> int:
        """How many are taken."""
        return self._total

    @property
    def is_full(self) -> bool:
        """Whether none is left for anybody."""
        return self._total >= self._places

    def has_room_for(self, party: Hashable) -> bool:
        """Whether a party may take one more."""
        if self.is_full:
            return False
        taken = self._taken.get(party, 0)
        free = self._places - self._total
        return not taken or taken * (_WHOLE - self._share_percent) < free * self._share_percent

    def take(self, party: Hashable) -> None:
        """Give a party a place."""
        self._taken[party] += 1
        self._total += 1

    def give_back(self, party: Hashable) -> None:
        """Free a place of a party."""
        self._total -= 1
        self._taken[party] -= 1
        if not self._taken[party]:
            del self._taken[party]
