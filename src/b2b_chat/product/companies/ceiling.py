"""The role ceiling: nobody gives, changes or takes away a role above the own one."""

from typing import Final

from b2b_chat.kit.errors import Refusal
from b2b_chat.product.companies.models import Role
from b2b_chat.product.identity.viewer import Viewer

_WEAKEST_FIRST: Final = tuple(Role)


class RoleTooLow(Refusal):
    """A role above the caller's own is involved."""

    code, status = "role_too_low", 403
    message = "This is above your role. You can give roles up to your own, to people who have no higher one."


def require_reach(viewer: Viewer, role: str) -> None:
    """Refuse a viewer whose own role is below this one.

    Raises:
        RoleTooLow: It is.
    """
    if viewer.role is None or _WEAKEST_FIRST.index(viewer.role) < _WEAKEST_FIRST.index(Role(role)):
        raise RoleTooLow
