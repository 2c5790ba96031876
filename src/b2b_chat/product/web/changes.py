"""What an action has changed, as a page tells it."""

from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from b2b_chat.product.audit.schemas import AuditRecord


class Change(NamedTuple):
    """Something of a target that an action has changed; None is what was or is not there."""

    name: str
    before: Any
    after: Any


def changes_of(record: AuditRecord) -> list[Change]:
    """What is not after an action as it was before it."""
    before, after = record.before or {}, record.after or {}
    return [
        Change(name, _value(name, before.get(name)), _value(name, after.get(name)))
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _value(name: str, value: Any) -> Any:
    """Times as times, since the log has them as JSON."""
    if name.endswith("_at") and isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return value
