"""Lists by keyset: a page, and where the next one starts."""

from typing import Annotated, Generic, TypeVar
from uuid import UUID

from litestar.params import QueryParameter
from msgspec import Struct

from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.text import form

ItemT = TypeVar("ItemT")
_CURSOR = "a cursor that this list gave"

IdCursor = Annotated[
    str | None,
    QueryParameter(
        pattern=form("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", _CURSOR),
        description="Where the page starts: `next_cursor` of the page before.",
    ),
]
"""The cursor of a list by id."""

PositionCursor = Annotated[
    str | None,
    QueryParameter(
        pattern=form("^[0-9]{1,18}$", _CURSOR), description="Where the page starts: `next_cursor` of the page before."
    ),
]
"""The cursor of a list whose items are numbered."""

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many items at most.")]


class Page(Struct, Generic[ItemT], frozen=True):
    """Some items of a list, and the cursor of the next page; None at the end."""

    items: list[ItemT]
    next_cursor: str | None


def id_from_cursor(cursor: str | None) -> UUID | None:
    """The id at which a page of a list by id starts; None for the first page.

    Raises:
        InvalidRequest: The cursor is no id.
    """
    try:
        return None if cursor is None else UUID(cursor)
    except ValueError:
        raise InvalidRequest("cursor: not one of this list.", param="cursor") from None
