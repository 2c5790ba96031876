"""`/v1/balance` and `/v1/ledger`."""

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from b2b_chat.kit.openapi import named
from b2b_chat.kit.pages import Limit, Page
from b2b_chat.product.credits.schemas import Balance, LedgerEntry
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import READING_REFUSALS, signed_in
from b2b_chat.product.identity.api_keys import Scope
from b2b_chat.product.identity.viewer import Viewer

_REFUSALS = documents(*READING_REFUSALS)


class CreditRoutes(Controller):
    """A company's credits."""

    path = "/v1"
    tags = ("credits",)
    guards = (signed_in,)
    opt = {"scope": Scope.READ}  # noqa: RUF012 - Litestar reads it, nobody writes it

    @get("/balance", operation_id="getBalance", responses=_REFUSALS)
    async def balance(self, viewer: NamedDependency[Viewer], credit: NamedDependency[Credits]) -> Balance:
        """Tell what the company has, and how much of it is held for running answers."""
        return await credit.balance(viewer)

    @get("/ledger", operation_id="listLedger", responses=_REFUSALS)
    async def ledger(
        self,
        viewer: NamedDependency[Viewer],
        credit: NamedDependency[Credits],
        cursor: Annotated[
            str | None,
            QueryParameter(
                pattern="^[0-9]{1,18}$", description="Where the page starts: `next_cursor` of the page before."
            ),
        ] = None,
        limit: Limit = 50,
    ) -> Annotated[Page[LedgerEntry], named("LedgerEntryPage")]:
        """List the movements of the company's balance, newest first."""
        return await credit.list_entries(viewer, cursor=cursor, limit=limit)
