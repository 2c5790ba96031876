"""The changes of an audited action, as a page shows them."""

from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from b2b_chat.product.audit.schemas import AuditRecord


class Change(NamedTuple):
    """A changed property of a target; None means that it was or is absent."""

    name: str
    before: Any
    after: Any


def changes_of(record: AuditRecord) -> list[Change]:
    """Return the properties that differ before and after an action."""
    before, after = record.before or {}, record.after or {}
    return [
        Change(name, _value(name, before.get(name)), _value(name, after.get(name)))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _value(name: str, value: Any) -> Any:
    """Return times as times, since the log has them as JSON."""
    if name.endswith("_at") and isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return value
