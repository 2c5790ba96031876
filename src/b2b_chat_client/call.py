"""One call of an operation: the requests that it sends, and its result."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode
from uuid import uuid4

import msgspec
from msgspec import UNSET, Struct

from b2b_chat_client.steps import Request

T = TypeVar("T")
Item = TypeVar("Item")

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})
"""What does the same when it is done twice: here PATCH, too, names the values that it sets."""


class Page(Struct, Generic[Item], frozen=True):
    """Some items of a list, and where the next page starts."""

    items: list[Item]
    next_cursor: str | None = None
    """To be given as `cursor`; none on the last page."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A call of an operation.

    Values that are `UNSET` are left out of its query and body.
    """

    method: str
    path: str
    into: type[T]
    """What the response is decoded as."""
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_safe_to_repeat(self) -> bool:
        """Whether it does the same when it is sent twice."""
        return self.method in _SAFE_METHODS or "Idempotency-Key" in self.headers

    def request(self) -> Request:
        """Return what is sent."""
        query = urlencode({name: _text(value) for name, value in self.query.items() if _is_set(value)})
        path = f"{self.path}?{query}" if query else self.path
        if self.body is None:
            return Request(self.method, path, headers=self.headers)
        body = msgspec.json.encode({name: value for name, value in self.body.items() if value is not UNSET})
        return Request(self.method, path, body, {"Content-Type": "application/json", **self.headers})

    def after(self, cursor: str) -> "Call[T]":
        """Return the call for the page that starts there."""
        return replace(self, query={**self.query, "cursor": cursor})


def path(template: str, *values: object) -> str:
    """Return a path with its parameters filled in."""
    return template.format(*(quote(str(value), safe="") for value in values))


def idempotency(key: str | None) -> dict[str, str]:
    """Return the header by which all attempts of a call create one thing."""
    return {"Idempotency-Key": key or str(uuid4())}


def _is_set(value: object) -> bool:
    return value is not UNSET and value is not None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        # Without its own zone a time is one of this machine, as everywhere in Python.
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
