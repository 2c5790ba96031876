"""What operators read leaves a row in the audit log too: people, companies, ledgers, and the log itself."""

from typing import Any
from uuid import UUID

from litestar import Request
from msgspec import ValidationError, convert

from b2b_chat.product.audit.actors import operator_of
from b2b_chat.product.audit.tallies import Tallies
from b2b_chat.product.viewer import Viewer


async def record_reading(request: Request[Viewer, Any, Any]) -> None:
    """Record a reading before it is answered: a hook for controllers, whose routes name the action in `opt["reads"]`.

    What was searched for is not recorded, since it may be an address, and the log can never be erased.
    """
    action = request.route_handler.opt.get("reads")
    if action is None:
        return
    tallies: Tallies = request.app.state.tallies
    targets = {name: str(value) for name, value in request.path_params.items()}
    for name in ("company_id", "user_id"):
        wanted = _id(request.query_params.get(name))
        if wanted is not None:
            # By another name: a company's log has what was read of it, and not who searched the log for it.
            targets[f"searched_{name}"] = str(wanted)
    await tallies.record(operator_of(request.user), action, targets=targets)


def _id(text: str | None) -> UUID | None:
    """Return an id of the query; None where it is not one, which the route refuses."""
    try:
        return None if text is None else convert(text, UUID)
    except ValidationError:
        return None
