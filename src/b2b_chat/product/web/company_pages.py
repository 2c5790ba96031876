"""`/company`: a company in its people's browsers. Everything is changed by the API, which the pages' scripts call."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from msgspec.structs import replace

from b2b_chat.kit.days import days_before, end_of, read_day, start_of
from b2b_chat.kit.pagination import IdCursor, PositionCursor
from b2b_chat.kit.text import PRINTABLE_ASCII, text_parameter
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.schemas import AuditFilter, AuditRecord
from b2b_chat.product.audit.service import Audit
from b2b_chat.product.companies.ceiling import roles_up_to
from b2b_chat.product.companies.invites import Invites
from b2b_chat.product.companies.keys import CompanyKeys
from b2b_chat.product.companies.members import Members
from b2b_chat.product.companies.service import Companies
from b2b_chat.product.conversations.mask_count_routes import MAX_DAYS
from b2b_chat.product.conversations.mask_counts import MaskStatistics
from b2b_chat.product.credits.routes import provide_period
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.credits.usage import MEMBER_CURSOR, Period, UsageReports
from b2b_chat.product.guards import by_session
from b2b_chat.product.identity.sessions import Sessions
from b2b_chat.product.masking_policies.service import MaskingPolicies
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Role, Scope
from b2b_chat.product.web import pages
from b2b_chat.product.web.changes import changes_of
from b2b_chat.product.web.chart import columns_of, share_of
from b2b_chat.product.web.console import FRAMED, PAGE_SIZE, Frame, by_text
from b2b_chat.product.web.masking_page import rules_context
from b2b_chat.product.web.refusals import REFUSED_AS_PAGES

AUDIT_PARTS: Final[Mapping[str, Any]] = {"actions": list(Action), "changes_of": changes_of}
"""The context of pages with the audit log."""
PERIODS_DAYS: Final = (7, 30, 90)


async def provide_wanted(
    action: FromQuery[Action | None] = None,
    user_id: FromQuery[UUID | None] = None,
    target: Annotated[str | None, text_parameter(PRINTABLE_ASCII, max_length=200)] = None,
    first_day: FromQuery[str | None] = None,
    last_day: FromQuery[str | None] = None,
) -> AuditFilter:
    """Read from the query which records of the audit log are wanted; days are of UTC.

    Raises:
        InvalidRequest: A day does not exist.
    """
    first, last = read_day("first_day", first_day), read_day("last_day", last_day)
    return AuditFilter(
        user_id=user_id,
        action=action,
        target=target,
        since=None if first is None else start_of(first),
        until=None if last is None else end_of(last),
    )


class CompanyPages(Controller):
    """The company that the viewer is acting in."""

    path = "/company"
    include_in_schema = False
    middleware = (pages.COMPRESSED,)
    guards = (by_session,)
    dependencies = FRAMED
    exception_handlers = REFUSED_AS_PAGES

    @get("/")
    async def overview_page(
        self,
        viewer: NamedDependency[Viewer],
        frame: NamedDependency[Frame],
        credit: NamedDependency[Credits],
        companies: NamedDependency[Companies],
    ) -> Response[bytes]:
        """Show the viewer's companies, the credits of this one, and to an owner whether it asks a second factor."""
        balance = await credit.balance(viewer) if frame.may(Scope.READ) else None
        obstacle = viewer.obstacle.code if viewer.obstacle else None
        company = await companies.get(viewer) if frame.may(Scope.ADMIN) and viewer.role is Role.OWNER else None
        return frame.page(
            "company/overview",
            balance=balance,
            obstacle=obstacle,
            company=company,
            factor_needed=viewer.needs_second_factor,
        )

    @get("/members", opt={"scope": Scope.ADMIN})
    async def members_page(
        self,
        viewer: NamedDependency[Viewer],
        frame: NamedDependency[Frame],
        members: NamedDependency[Members],
        cursor: IdCursor = None,
    ) -> Response[bytes]:
        """Show the members, with the actions that the viewer may take."""
        listed = await members.list_members(viewer, cursor=cursor, limit=PAGE_SIZE)
        return frame.page(
            "company/members",
            listed=listed,
            roles=_roles(viewer),
            resets=viewer.needs_second_factor and viewer.role is Role.OWNER,
        )

    @get("/invites", opt={"scope": Scope.ADMIN})
    async def invites_page(
        self,
        viewer: NamedDependency[Viewer],
        frame: NamedDependency[Frame],
        invites: NamedDependency[Invites],
        members: NamedDependency[Members],
        cursor: IdCursor = None,
    ) -> Response[bytes]:
        """Show the invites."""
        listed = await invites.list_invites(viewer, cursor=cursor, limit=PAGE_SIZE)
        addresses = by_text(await members.addresses(viewer, {invite.invited_by for invite in listed.items}))
        return frame.page("company/invites", listed=listed, roles=_roles(viewer), addresses=addresses)

    @get("/keys", opt={"scope": Scope.ADMIN})
    async def keys_page(
        self,
        viewer: NamedDependency[Viewer],
        frame: NamedDependency[Frame],
        company_keys: NamedDependency[CompanyKeys],
        members: NamedDependency[Members],
        cursor: IdCursor = None,
    ) -> Response[bytes]:
        """Show the API keys."""
        listed = await company_keys.list_keys(viewer, cursor=cursor, limit=PAGE_SIZE)
        addresses = by_text(await members.addresses(viewer, {key.user_id for key in listed.items}))
        return frame.page("company/keys", listed=listed, scopes=list(Scope), addresses=addresses)

    @get("/masking", opt={"scope": Scope.ADMIN})
    async def masking_page(
        self,
        viewer: NamedDependency[Viewer],
        frame: NamedDependency[Frame],
        masking_policies: NamedDependency[MaskingPolicies],
        mask_statistics: NamedDependency[MaskStatistics],
        days: Annotated[int, QueryParameter(ge=1, le=MAX_DAYS)] = 30,
    ) -> Response[bytes]:
        """Show what is done with personal data, a text to try it with, and how much was hidden."""
        masking = await masking_policies.get(viewer)
        counted = await mask_statistics.of_company(viewer, days, None)
        return frame.page(
            "company/masking",
            masking=masking,
            terms=await masking_policies.get_terms(viewer),
            counted=counted,
            chart=columns_of([Decimal(sum(day.counts.values())) for day in counted.days]),
            days=days,
            periods=PERIODS_DAYS,
            **rules_context(masking),
        )

    @get("/usage", opt={"scope": Scope.READ}, dependencies={"period": Provide(provide_period)})
    async def usage_page(
        self,
        viewer: NamedDependency[Viewer],
        frame: NamedDependency[Frame],
        usage: NamedDependency[UsageReports],
        members: NamedDependency[Members],
        period: NamedDependency[Period],
        user_id: FromQuery[UUID | None] = None,
        cursor: Annotated[str | None, QueryParameter(pattern=MEMBER_CURSOR)] = None,
    ) -> Response[bytes]:
        """Show the use: of the company and each member to an admin, their own to a member."""
        people = None
        addresses: dict[str, str] = {}
        if frame.may(Scope.ADMIN):
            used = await usage.by_day(viewer, period, user_id=user_id)
            if user_id is None:
                people = await usage.by_member(viewer, period, cursor=cursor, limit=PAGE_SIZE)
            else:
                addresses = by_text(await members.addresses(viewer, {user_id}))
        else:
            user_id = viewer.user_id
            used = await usage.own_by_day(viewer, period)
        return frame.page(
            "company/usage",
            used=used,
            chart=columns_of([day.charge_credits for day in used.days]),
            share_of=share_of,
            people=people,
            user_id=user_id,
            addresses=addresses,
            days=period.days,
            earlier_day=days_before(used.first_day, 1),
            periods=PERIODS_DAYS,
        )

    @get("/ledger", opt={"scope": Scope.READ})
    async def ledger_page(
        self,
        viewer: NamedDependency[Viewer],
        frame: NamedDependency[Frame],
        credit: NamedDependency[Credits],
        cursor: PositionCursor = None,
    ) -> Response[bytes]:
        """Show the movements of the balance, and links to export them."""
        listed = await credit.list_entries(viewer, cursor=cursor, limit=PAGE_SIZE)
        return frame.page("company/ledger", listed=listed, balance=await credit.balance(viewer))

    @get("/audit", opt={"scope": Scope.ADMIN}, dependencies={"wanted": Provide(provide_wanted)})
    async def audit_page(
        self,
        viewer: NamedDependency[Viewer],
        frame: NamedDependency[Frame],
        audit: NamedDependency[Audit],
        members: NamedDependency[Members],
        wanted: NamedDependency[AuditFilter],
        cursor: IdCursor = None,
    ) -> Response[bytes]:
        """Show the audit log."""
        wanted = replace(wanted, company_id=viewer.company_id)
        listed = await audit.search(wanted, cursor=cursor, limit=PAGE_SIZE)
        addresses = by_text(await members.addresses(viewer, people_in(listed.items)))
        return frame.page("company/audit", listed=listed, wanted=wanted, addresses=addresses, **AUDIT_PARTS)

    @get("/sessions")
    async def sessions_page(
        self, viewer: NamedDependency[Viewer], frame: NamedDependency[Frame], sessions: NamedDependency[Sessions]
    ) -> Response[bytes]:
        """Show the viewer's sessions."""
        return frame.page("company/sessions", listed=await sessions.list_sessions(viewer))


def people_in(records: Iterable[AuditRecord]) -> set[UUID]:
    """Return the people in some records, actors and targets."""
    found = set[UUID]()
    for record in records:
        if record.actor.user_id is not None:
            found.add(record.actor.user_id)
        found |= {UUID(value) for name, value in record.targets.items() if name.endswith("user_id")}
    return found


def _roles(viewer: Viewer) -> tuple[Any, ...]:
    """Return the roles that the viewer may give."""
    return () if viewer.role is None else roles_up_to(viewer.role)
