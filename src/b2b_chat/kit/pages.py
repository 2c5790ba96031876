"""Lists by keyset: a page, and where the next one starts."""

from typing import Annotated, Generic, TypeVar

from litestar.params import Parameter
from msgspec import Struct

ItemT = TypeVar("ItemT")

Limit = Annotated[int, Parameter(ge=1, le=100, description="How many items at most.")]


class Page(Struct, Generic[ItemT], frozen=True):
    """Some items of a list, and the cursor of the next page; None at the end."""

    items: list[ItemT]
    next_cursor: str | None
