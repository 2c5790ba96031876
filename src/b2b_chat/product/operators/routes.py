"""`/admin/companies`, `/admin/users` and `/admin/health`, for the operators of this installation."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter

from b2b_chat.kit.openapi import named
from b2b_chat.kit.pagination import IdCursor, Limit, Page, PositionCursor
from b2b_chat.kit.text import LINE, text_parameter
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import operator_of
from b2b_chat.product.audit.readings import record_reading
from b2b_chat.product.companies.schemas import Company, CompanyCreate, CompanyOverview
from b2b_chat.product.companies.service import Companies
from b2b_chat.product.credits.queries import provide_ledger_filter
from b2b_chat.product.credits.schemas import CreditsAdd, CreditsAdjust, LedgerEntry, LedgerFilter
from b2b_chat.product.credits.service import (
    BalanceOutOfRange,
    CompanyNotFound,
    Credits,
    ExternalIdConflict,
    LedgerEntryNotFound,
)
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import operator_only
from b2b_chat.product.identity.addresses import AddressNotSupported
from b2b_chat.product.operators.approvals import SecondOperatorRequired
from b2b_chat.product.operators.health import LiveHealth
from b2b_chat.product.operators.schemas import InstallationHealth, User
from b2b_chat.product.operators.service import UserNotFound, Users
from b2b_chat.product.second_factor.service import SecondFactorProtected
from b2b_chat.product.viewer import Viewer


class OperatorCompanyRoutes(Controller):
    """The customers."""

    path = "/admin/companies"
    tags = ("operators",)
    guards = (operator_only,)
    before_request = staticmethod(record_reading)

    @post(
        "/",
        operation_id="createCompany",
        opt={"audited": Action.COMPANY_CREATE, "step_up": True},
        responses=documents(AddressNotSupported),
    )
    async def create(
        self, viewer: NamedDependency[Viewer], data: JSONBody[CompanyCreate], companies: NamedDependency[Companies]
    ) -> Company:
        """Set up a company with its first owner, who can sign in at once."""
        return await companies.create(operator_of(viewer), data)

    @get("/", operation_id="listCompanies", opt={"reads": Action.COMPANY_READ})
    async def search(
        self,
        companies: NamedDependency[Companies],
        search: Annotated[str | None, text_parameter(LINE, max_length=254, description="Part of the name.")] = None,
        cursor: IdCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[CompanyOverview], named("CompanyOverviewPage")]:
        """List companies with their balances, newest first."""
        return await companies.search(search, cursor=cursor, limit=limit)

    @get(
        "/{company_id:uuid}",
        operation_id="getCompanyOverview",
        opt={"reads": Action.COMPANY_READ},
        responses=documents(CompanyNotFound),
    )
    async def overview(self, company_id: FromPath[UUID], companies: NamedDependency[Companies]) -> CompanyOverview:
        """Show a company with its balance."""
        return await companies.overview(company_id)

    @post(
        "/{company_id:uuid}/block",
        operation_id="blockCompany",
        status_code=200,
        opt={"audited": Action.COMPANY_BLOCK},
        responses=documents(CompanyNotFound),
    )
    async def block(
        self, viewer: NamedDependency[Viewer], company_id: FromPath[UUID], companies: NamedDependency[Companies]
    ) -> Company:
        """Block a company: no one may act in it, by session or key."""
        return await companies.block(operator_of(viewer), company_id)

    @post(
        "/{company_id:uuid}/unblock",
        operation_id="unblockCompany",
        status_code=200,
        opt={"audited": Action.COMPANY_UNBLOCK},
        responses=documents(CompanyNotFound),
    )
    async def unblock(
        self, viewer: NamedDependency[Viewer], company_id: FromPath[UUID], companies: NamedDependency[Companies]
    ) -> Company:
        """Unblock a company."""
        return await companies.unblock(operator_of(viewer), company_id)

    @get(
        "/{company_id:uuid}/ledger",
        operation_id="listCompanyLedger",
        opt={"reads": Action.LEDGER_READ},
        responses=documents(CompanyNotFound),
        dependencies={"wanted": Provide(provide_ledger_filter)},
    )
    async def ledger(
        self,
        company_id: FromPath[UUID],
        credit: NamedDependency[Credits],
        wanted: NamedDependency[LedgerFilter],
        cursor: PositionCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[LedgerEntry], named("LedgerEntryPage")]:
        """List the movements of a company's balance, newest first: all, or those of some days or of one kind."""
        return await credit.list_entries_of(company_id, cursor=cursor, limit=limit, wanted=wanted)

    @post(
        "/{company_id:uuid}/credits",
        operation_id="addCredits",
        status_code=200,
        opt={"audited": Action.CREDITS_ADD, "step_up": True},
        responses=documents(CompanyNotFound, ExternalIdConflict, BalanceOutOfRange),
    )
    async def add_credits(
        self,
        viewer: NamedDependency[Viewer],
        company_id: FromPath[UUID],
        data: JSONBody[CreditsAdd],
        credit: NamedDependency[Credits],
    ) -> LedgerEntry:
        """Add credits that were paid for. The same `external_id` again adds nothing and answers the same."""
        return await credit.add(operator_of(viewer), company_id, data)

    @post(
        "/{company_id:uuid}/credits/adjustments",
        operation_id="adjustCredits",
        status_code=200,
        opt={"audited": Action.CREDITS_ADJUST, "step_up": True},
        responses=documents(CompanyNotFound, LedgerEntryNotFound, ExternalIdConflict, BalanceOutOfRange),
    )
    async def adjust_credits(
        self,
        viewer: NamedDependency[Viewer],
        company_id: FromPath[UUID],
        data: JSONBody[CreditsAdjust],
        credit: NamedDependency[Credits],
    ) -> LedgerEntry:
        """Correct an entry of the ledger, up or down. The same `external_id` again changes nothing."""
        return await credit.adjust(operator_of(viewer), company_id, data)


class OperatorUserRoutes(Controller):
    """The people."""

    path = "/admin/users"
    tags = ("operators",)
    guards = (operator_only,)
    before_request = staticmethod(record_reading)

    @get("/", operation_id="listUsers", opt={"reads": Action.USER_READ})
    async def search(
        self,
        users: NamedDependency[Users],
        search: Annotated[str | None, text_parameter(LINE, max_length=254, description="Part of the address.")] = None,
        company_id: Annotated[UUID | None, QueryParameter(description="Members of this company only.")] = None,
        cursor: IdCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[User], named("UserPage")]:
        """List people with their companies, newest first."""
        return await users.search(search, company_id, cursor=cursor, limit=limit)

    @get(
        "/{user_id:uuid}",
        operation_id="getUser",
        opt={"reads": Action.USER_READ},
        responses=documents(UserNotFound),
    )
    async def user(self, user_id: FromPath[UUID], users: NamedDependency[Users]) -> User:
        """Show a person with the companies."""
        return await users.get(user_id)

    @post(
        "/{user_id:uuid}/block",
        operation_id="blockUser",
        status_code=200,
        opt={"audited": Action.USER_BLOCK},
        responses=documents(UserNotFound, SecondOperatorRequired),
    )
    async def block(
        self, viewer: NamedDependency[Viewer], user_id: FromPath[UUID], users: NamedDependency[Users]
    ) -> User:
        """Let a person do nothing any more, in any company; it ends all sessions and stops all keys.

        Another operator is blocked by two: the first call is refused with `second_operator_required` and counts for an
        hour, and the same call by a second operator does it.
        """
        return await users.block(operator_of(viewer), user_id)

    @post(
        "/{user_id:uuid}/unblock",
        operation_id="unblockUser",
        status_code=200,
        opt={"audited": Action.USER_UNBLOCK},
        responses=documents(UserNotFound, SecondOperatorRequired),
    )
    async def unblock(
        self, viewer: NamedDependency[Viewer], user_id: FromPath[UUID], users: NamedDependency[Users]
    ) -> User:
        """Let a person sign in again, and the keys be used. For another operator it takes two, as blocking does."""
        return await users.unblock(operator_of(viewer), user_id)

    @delete(
        "/{user_id:uuid}/second-factor",
        operation_id="resetUserSecondFactor",
        opt={"audited": Action.SECOND_FACTOR_RESET, "step_up": True},
        responses=documents(UserNotFound, SecondFactorProtected),
    )
    async def reset_second_factor(
        self, viewer: NamedDependency[Viewer], user_id: FromPath[UUID], users: NamedDependency[Users]
    ) -> None:
        """Let a person who is no operator set up a new second factor."""
        await users.reset_second_factor(operator_of(viewer), user_id)


class OperatorHealthRoutes(Controller):
    """The health of the installation."""

    path = "/admin/health"
    tags = ("operators",)
    guards = (operator_only,)

    @get("/", operation_id="getInstallationHealth")
    async def health(self, live_health: NamedDependency[LiveHealth]) -> InstallationHealth:
        """Show the health of both services now: product_api's parts, and the gateway's answer to a signed ping."""
        return await live_health.report()
