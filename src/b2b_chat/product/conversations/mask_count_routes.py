"""`/v1/company/masking/counts`."""

from typing import Annotated, Final

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from b2b_chat.kit.days import day_parameter, read_day
from b2b_chat.product.conversations.mask_counts import MaskCounts, MaskStatistics
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import signed_in
from b2b_chat.product.transactions import TookTooLong
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope

MAX_DAYS: Final = 92


class MaskCountRoutes(Controller):
    """What was hidden, in numbers."""

    path = "/v1/company/masking/counts"
    tags = ("masking",)
    guards = (signed_in,)

    @get("/", operation_id="getMaskingCounts", opt={"scope": Scope.ADMIN}, responses=documents(TookTooLong))
    async def counts(
        self,
        viewer: NamedDependency[Viewer],
        mask_statistics: NamedDependency[MaskStatistics],
        days: Annotated[int, QueryParameter(ge=1, le=MAX_DAYS, description="How many days.")] = 30,
        last_day: Annotated[str | None, day_parameter("The last of them, a day of UTC; today unless given.")] = None,
    ) -> MaskCounts:
        """Count the values that were hidden in your company's messages, by kind and by day; never which they were."""
        return await mask_statistics.of_company(viewer, days, read_day("last_day", last_day))
