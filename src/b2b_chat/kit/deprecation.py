"""Operations that will go: said in the document, and in the headers of each of their answers."""

from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any

from litestar.datastructures import ResponseHeader


def deprecated(*, since: date, sunset: date, replacement: str | None = None) -> dict[str, Any]:
    """Return what to give to the decorator of a route: `@get("/v1/old", **deprecated(since=…, sunset=…))`.

    Args:
        since: From when on clients should have left.
        sunset: When the operation may be gone: not before six months have passed.
        replacement: The address of what takes its place.

    Sources: RFC 9745 (`Deprecation`), RFC 8594 (`Sunset`), RFC 8288 (`Link`).
    """
    headers = [
        ResponseHeader(name="Deprecation", value=f"@{int(_midnight(since).timestamp())}"),
        ResponseHeader(name="Sunset", value=format_datetime(_midnight(sunset), usegmt=True)),
    ]
    if replacement is not None:
        headers.append(ResponseHeader(name="Link", value=f'<{replacement}>; rel="successor-version"'))
    return {"deprecated": True, "response_headers": headers}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
