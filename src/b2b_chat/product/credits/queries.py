"""What a query asks of a ledger, for its company and for operators."""

from typing import Annotated

from litestar.params import QueryParameter

from b2b_chat.kit.days import day_parameter, end_of, read_day, start_of
from b2b_chat.product.credits.schemas import EntryKindName, LedgerFilter, Span


async def provide_ledger_filter(
    first_day: Annotated[str | None, day_parameter("From this day of UTC on.")] = None,
    last_day: Annotated[str | None, day_parameter("Up to and with this day of UTC.")] = None,
    kind: Annotated[EntryKindName | None, QueryParameter(description="Entries of this kind alone.")] = None,
) -> LedgerFilter:
    """Which entries of the ledger are wanted.

    Raises:
        InvalidRequest: One of the days does not exist.
    """
    first, last = read_day("first_day", first_day), read_day("last_day", last_day)
    return LedgerFilter(Span(None if first is None else start_of(first), None if last is None else end_of(last)), kind)
