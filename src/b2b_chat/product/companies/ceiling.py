"""The role ceiling: nobody gives, changes or takes away a role above the own one."""

from typing import Final

from b2b_chat.product.refusals import Refusal
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Role

_WEAKEST_FIRST: Final = tuple(Role)


class RoleTooLow(Refusal):
    """A role above the caller's own is involved."""

    code, status = "role_too_low", 403
    message = "This is above your role. You can give roles up to your own, to people who have no higher one."


def roles_up_to(role: str) -> tuple[Role, ...]:
    """The roles that somebody with this one may give."""
    return _WEAKEST_FIRST[: _WEAKEST_FIRST.index(Role(role)) + 1]


def require_reach(viewer: Viewer, role: str) -> None:
    """Refuse a viewer whose own role is below this one.

    Raises:
        RoleTooLow: It is.
    """
    if viewer.role is None or role not in roles_up_to(viewer.role):
        raise RoleTooLow
