"""The viewer's current rights in a company, and the role ceiling: no one gives or takes a role above their own."""

from typing import Final, NamedTuple

from b2b_chat.product.companies.models import CompanyRow
from b2b_chat.product.companies.repository import CompanyRepository
from b2b_chat.product.identity import users
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.transactions import Transaction
from b2b_chat.product.viewer import CompanyBlocked, NoCompany, ScopeMissing, UserBlocked, Viewer
from b2b_chat.product.vocabulary import SCOPES_OF_ROLES, Role, Scope

_WEAKEST_FIRST: Final = tuple(Role)


class RoleTooLow(Refusal):
    """A role above the caller's own is involved."""

    code, status = "role_too_low", 403
    message = "This is above your role. You can give roles up to your own, to people who have no higher one."


class RoleTooHighForKey(Refusal):
    """An API key would give a role above member."""

    code, status = "role_too_high_for_key", 403
    message = "With an API key, people can be invited as members and get lower roles. Sign in to give a higher one."


class Rights(NamedTuple):
    """A viewer's membership in a company while its lock is held."""

    company: CompanyRow
    role: Role


async def lock_company(tx: Transaction, viewer: Viewer) -> Rights:
    """Lock the viewer's company, and read the viewer's rights in it again: they may have changed since the call came.

    Until the transaction ends no other change to the company's people passes, and the viewer is not blocked.

    Raises:
        CompanyBlocked, UserBlocked: The company or the viewer was blocked meanwhile.
        NoCompany: The viewer is no longer a member.
        ScopeMissing: The viewer is no longer an admin.
    """
    company = await tx[CompanyRepository].get_locked(viewer.company_id)
    if company.blocked_at is not None:
        raise CompanyBlocked
    own = await tx[CompanyRepository].find_member(company.id, viewer.user_id)
    if own is None:
        raise NoCompany
    if own.membership.blocked_at is not None or not await users.stays_unblocked(tx, viewer.user_id):
        raise UserBlocked
    role = Role(own.membership.role)
    if Scope.ADMIN not in SCOPES_OF_ROLES[role]:
        raise ScopeMissing
    return Rights(company, role)


def roles_up_to(role: str) -> tuple[Role, ...]:
    """Return the roles that a person with this one may give."""
    return _WEAKEST_FIRST[: _WEAKEST_FIRST.index(Role(role)) + 1]


def require_reach(own: Role | None, role: str) -> None:
    """Refuse a caller whose own role is below this one.

    Raises:
        RoleTooLow: It is.
    """
    if own is None or role not in roles_up_to(own):
        raise RoleTooLow


def require_person_to_raise(viewer: Viewer, role: str, *, to: Role) -> None:
    """Refuse to let a key, which may leak, give more than it could get by itself.

    Raises:
        RoleTooHighForKey: The new role is above the one before, and the viewer has an API key.
    """
    if viewer.via == "api_key" and to not in roles_up_to(role):
        raise RoleTooHighForKey


def require_person_to_let_in(viewer: Viewer, role: Role) -> None:
    """Refuse an API key that would let in a person with more rights than a member or than the key itself.

    Raises:
        RoleTooHighForKey: The role is above member, and the viewer has an API key.
        ScopeMissing: The viewer has an API key without a scope that the role has.
    """
    require_person_to_raise(viewer, Role.MEMBER, to=role)
    if viewer.via == "api_key" and not viewer.scopes >= SCOPES_OF_ROLES[role]:
        raise ScopeMissing
