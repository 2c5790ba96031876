"""`/v1/balance` and `/v1/ledger`; `/v1/company/usage` for admins and `/v1/me/usage` for everybody."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from b2b_chat.kit.days import day_parameter, read_day
from b2b_chat.kit.exports import CsvDialect, Dialect, ExportFormat, ExportingOperation, download
from b2b_chat.kit.openapi import named
from b2b_chat.kit.pagination import Limit, Page, PositionCursor
from b2b_chat.product.credits.queries import provide_ledger_filter
from b2b_chat.product.credits.schemas import (
    Balance,
    LedgerEntry,
    LedgerFilter,
    MemberUsage,
    UsageReport,
)
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.credits.usage import MAX_DAYS, MEMBER_CURSOR, Period, UsageReports
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import signed_in
from b2b_chat.product.transactions import TookTooLong
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope


class CreditRoutes(Controller):
    """A company's credits."""

    path = "/v1"
    tags = ("credits",)
    guards = (signed_in,)
    opt = {"scope": Scope.READ}  # noqa: RUF012 - Litestar reads it, nobody writes it
    dependencies = {"wanted": Provide(provide_ledger_filter)}  # noqa: RUF012 - as above

    @get("/balance", operation_id="getBalance")
    async def balance(self, viewer: NamedDependency[Viewer], credit: NamedDependency[Credits]) -> Balance:
        """Show the company's balance, and how much of it is held for running answers."""
        return await credit.balance(viewer)

    @get("/ledger", operation_id="listLedger", responses=documents(TookTooLong))
    async def ledger(
        self,
        viewer: NamedDependency[Viewer],
        credit: NamedDependency[Credits],
        wanted: NamedDependency[LedgerFilter],
        cursor: PositionCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[LedgerEntry], named("LedgerEntryPage")]:
        """List the movements of the company's balance, newest first: all, or those of some days or of one kind."""
        return await credit.list_entries(viewer, cursor=cursor, limit=limit, wanted=wanted)

    @get("/ledger/export", operation_id="exportLedger", operation_class=ExportingOperation)
    async def export(
        self,
        viewer: NamedDependency[Viewer],
        credit: NamedDependency[Credits],
        wanted: NamedDependency[LedgerFilter],
        export_format: Annotated[ExportFormat, QueryParameter(name="format")] = ExportFormat.NDJSON,
        dialect: Dialect = CsvDialect.STANDARD,
    ) -> Stream:
        """Download the movements of the company's balance, newest first: all, or those of some days or of one kind."""
        return download(await credit.export(viewer, export_format, wanted, dialect), export_format, "ledger")


async def provide_period(
    days: Annotated[int, QueryParameter(ge=1, le=MAX_DAYS, description="How many days.")] = 30,
    last_day: Annotated[str | None, day_parameter("The last of them, a day of UTC; today unless given.")] = None,
) -> Period:
    """Which days are asked about.

    Raises:
        InvalidRequest: The last day is malformed.
    """
    return Period(days, read_day("last_day", last_day))


class CompanyUsageRoutes(Controller):
    """What a company has used, for its admins."""

    path = "/v1/company/usage"
    tags = ("company",)
    guards = (signed_in,)
    opt = {"scope": Scope.ADMIN}  # noqa: RUF012 - as above
    dependencies = {"period": Provide(provide_period)}  # noqa: RUF012 - as above

    @get("/", operation_id="getCompanyUsage", responses=documents(TookTooLong))
    async def by_day(
        self,
        viewer: NamedDependency[Viewer],
        period: NamedDependency[Period],
        usage: NamedDependency[UsageReports],
        user_id: FromQuery[UUID | None] = None,
    ) -> UsageReport:
        """Show what your company, or one person in it, has used on each day."""
        return await usage.by_day(viewer, period, user_id=user_id)

    @get("/members", operation_id="listMemberUsage", responses=documents(TookTooLong))
    async def by_member(
        self,
        viewer: NamedDependency[Viewer],
        period: NamedDependency[Period],
        usage: NamedDependency[UsageReports],
        cursor: Annotated[
            str | None,
            QueryParameter(
                pattern=MEMBER_CURSOR, description="Where the page starts: `next_cursor` of the one before."
            ),
        ] = None,
        limit: Limit = 50,
    ) -> Annotated[Page[MemberUsage], named("MemberUsagePage")]:
        """List what each person has used in your company, the most first."""
        return await usage.by_member(viewer, period, cursor=cursor, limit=limit)


class MyUsageRoutes(Controller):
    """What you have used."""

    path = "/v1/me/usage"
    tags = ("me",)
    guards = (signed_in,)
    opt = {"scope": Scope.READ}  # noqa: RUF012 - as above
    dependencies = {"period": Provide(provide_period)}  # noqa: RUF012 - as above

    @get("/", operation_id="getMyUsage", responses=documents(TookTooLong))
    async def mine(
        self,
        viewer: NamedDependency[Viewer],
        period: NamedDependency[Period],
        usage: NamedDependency[UsageReports],
    ) -> UsageReport:
        """Show what you have used on each day in the company that you act in."""
        return await usage.own_by_day(viewer, period)
