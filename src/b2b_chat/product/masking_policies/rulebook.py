"""What holds for a caller's message: the policy that came with the caller, and the company's lists, kept in memory."""

from typing import NamedTuple
from uuid import UUID

from b2b_chat.kit.database import Database
from b2b_chat.product.masking.edition import edition
from b2b_chat.product.masking.policy import in_force
from b2b_chat.product.masking.rules import Rules
from b2b_chat.product.masking.terms import AllowList, Terms
from b2b_chat.product.masking_policies.repository import find_terms
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Viewer


class Lists(NamedTuple):
    """A company's own words and what it lets through, ready for use."""

    version: int
    terms: Terms
    allowed: AllowList


_NO_LISTS = Lists(0, Terms(()), AllowList())


class Rulebook:
    """Knows the rules for each caller. Lists are read once for each version of them.

    Args:
        database: Has the lists.
        settings: How many companies' lists are kept.
    """

    def __init__(self, database: Database, settings: ProductSettings) -> None:
        self._database = database
        self._most = settings.masking_cached_companies
        self._lists: dict[UUID, Lists] = {}
        self._edition = edition()

    async def rules_of(self, viewer: Viewer) -> Rules:
        """Return the rules for a message of a caller.

        Raises:
            MaskingUnavailable: What is stored cannot be read.
        """
        now = in_force(viewer.masking)
        version = viewer.masking.terms_version
        lists = _NO_LISTS if now.is_off or not version else await self._lists_of(viewer.company_id, version)
        return Rules(
            now.policy,
            now.is_off,
            f"{now.key}-{lists.version}-{self._edition}",
            lists.terms,
            lists.allowed,
            now.floor,
            allows_images=now.allows_images,
        )

    async def _lists_of(self, company_id: UUID, version: int) -> Lists:
        known = self._lists.pop(company_id, None)
        if known is None or known.version < version:
            async with self._database.connection() as connection:
                stored = await find_terms(connection, company_id)
            known = (
                _NO_LISTS if stored is None else Lists(stored.version, Terms(stored.terms), AllowList(stored.allowed))
            )
        # The one that was used last is the last to go.
        self._lists[company_id] = known
        while len(self._lists) > self._most:
            del self._lists[next(iter(self._lists))]
        return known
