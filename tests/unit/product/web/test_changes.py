"""What an action has changed, as a page shows it."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import ActorKind
from b2b_chat.product.audit.schemas import AuditActor, AuditRecord
from b2b_chat.product.web.changes import Change, changes_of

_OPERATOR: ActorKind = "operator"


def record(before: dict[str, Any] | None, after: dict[str, Any] | None) -> AuditRecord:
    now = datetime.now(UTC)
    actor = AuditActor(_OPERATOR, "x", None)
    return AuditRecord(uuid4(), now, None, actor, Action.MEMBER_BLOCK, "ok", None, None, None, 1, {}, before, after)


def test_only_what_differs() -> None:
    found = changes_of(
        record({"role": "member", "blocked_at": None}, {"role": "member", "blocked_at": "2026-01-02T03:04:05Z"})
    )
    assert found == [Change("blocked_at", None, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))]


def test_what_is_new_and_what_is_gone() -> None:
    assert changes_of(record(None, {"name": "Acme"})) == [Change("name", None, "Acme")]
    assert changes_of(record({"state": "pending"}, None)) == [Change("state", "pending", None)]
    assert changes_of(record(None, None)) == []


def test_an_invalid_time_is_shown_unchanged() -> None:
    assert changes_of(record(None, {"expires_at": "soon"})) == [Change("expires_at", None, "soon")]
