"""Admin actions that were attempted without the right to: they leave a row in the audit log too.

An attempt is recorded when a known caller of a route whose `opt` names an audited action is refused with 403.
A target that is not there (404) or not in the right state (409) is no question of rights and leaves no row.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from litestar.types import Scope

from b2b_chat.kit.errors import Refusal
from b2b_chat.product.audit.actors import actor_of
from b2b_chat.product.audit.tallies import Tallies

log = structlog.get_logger(__name__)


def refusal_recorder(tallies: Tallies) -> Callable[[Exception, Scope], Awaitable[None]]:
    """A hook for `Litestar(after_exception=…)`. The transaction of what was refused is rolled back by then."""

    async def record(error: Exception, scope: Scope) -> None:
        if scope.get("route_handler") is None or scope.get("user") is None:
            return  # no such route, or no known caller
        action = scope["route_handler"].opt.get("audited")
        if action is None or not isinstance(error, Refusal) or error.status != HTTPStatus.FORBIDDEN:
            return
        targets = {name: str(value) for name, value in scope["path_params"].items()}
        try:
            await tallies.record(actor_of(scope["user"]), action, targets=targets, refusal=error.code)
        except Exception as failure:  # the refusal must reach the caller all the same
            log.exception("audit_of_refusal_failed", exc_info=failure)

    return record
