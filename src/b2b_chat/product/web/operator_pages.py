"""`/operator`: the installation in its operators' browsers. Everything is changed by `/admin`, which scripts call."""

from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import Controller, Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect
from msgspec import to_builtins
from msgspec.structs import replace

from b2b_chat.kit.exports import ExportFormat
from b2b_chat.kit.pagination import IdCursor, PositionCursor
from b2b_chat.kit.text import LINE, text_parameter
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.readings import record_reading
from b2b_chat.product.audit.schemas import AuditFilter
from b2b_chat.product.audit.service import Audit
from b2b_chat.product.companies.service import Companies
from b2b_chat.product.credits.service import Credits
from b2b_chat.product.guards import operator_only
from b2b_chat.product.identity.languages import language_of
from b2b_chat.product.operators.health import LiveHealth
from b2b_chat.product.operators.keys import OperatorKeys
from b2b_chat.product.operators.service import Users
from b2b_chat.product.web import pages
from b2b_chat.product.web.company_pages import AUDIT_PARTS, people_in, provide_wanted
from b2b_chat.product.web.console import FRAMED, PAGE_SIZE, Frame, by_text
from b2b_chat.product.web.refusals import REFUSED_AS_PAGES, AnyRequest
from b2b_chat.product.web.words import CONSOLE_WORDS

_FIRST_PAGE: Final = "/operator/companies"

Text = Annotated[str | None, text_parameter(LINE, max_length=254)]


class OperatorPages(Controller):
    """Everything in this installation."""

    path = "/operator"
    include_in_schema = False
    middleware = (pages.COMPRESSED,)
    guards = (operator_only,)
    before_request = staticmethod(record_reading)
    dependencies = FRAMED
    exception_handlers = REFUSED_AS_PAGES

    @get("/", sync_to_thread=False)
    def first_page(self) -> Redirect:
        """Where operators begin."""
        return Redirect(_FIRST_PAGE)

    @get("/companies", opt={"reads": Action.COMPANY_READ})
    async def companies_page(
        self,
        frame: NamedDependency[Frame],
        companies: NamedDependency[Companies],
        search: Text = None,
        cursor: IdCursor = None,
    ) -> Response[bytes]:
        """The companies, and setting one up."""
        listed = await companies.search(search, cursor=cursor, limit=PAGE_SIZE)
        return frame.page("operator/companies", listed=listed)

    @get("/companies/{company_id:uuid}", opt={"reads": Action.LEDGER_READ})
    async def company_page(
        self,
        frame: NamedDependency[Frame],
        companies: NamedDependency[Companies],
        credit: NamedDependency[Credits],
        company_id: FromPath[UUID],
        cursor: PositionCursor = None,
        corrects: Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)] = None,
    ) -> Response[bytes]:
        """One company: blocking it, adding credits, correcting its ledger."""
        company = await companies.overview(company_id)
        listed = await credit.list_entries_of(company_id, cursor=cursor, limit=PAGE_SIZE)
        return frame.page("operator/company", company=company, listed=listed, corrects=corrects)

    @get("/users", opt={"reads": Action.USER_READ})
    async def users_page(
        self,
        frame: NamedDependency[Frame],
        users: NamedDependency[Users],
        search: Text = None,
        company_id: FromQuery[UUID | None] = None,
        cursor: IdCursor = None,
    ) -> Response[bytes]:
        """The people of all companies."""
        listed = await users.search(search, company_id, cursor=cursor, limit=PAGE_SIZE)
        return frame.page("operator/users", listed=listed, company_id=company_id)

    @get("/keys")
    async def keys_page(
        self,
        frame: NamedDependency[Frame],
        operator_keys: NamedDependency[OperatorKeys],
        users: NamedDependency[Users],
        cursor: IdCursor = None,
    ) -> Response[bytes]:
        """Show the operators' keys, and a form to make one."""
        listed = await operator_keys.list_keys(cursor=cursor, limit=PAGE_SIZE)
        addresses = by_text(await users.addresses({key.user_id for key in listed.items}))
        return frame.page("operator/keys", listed=listed, addresses=addresses)

    @get("/audit", opt={"reads": Action.AUDIT_READ}, dependencies={"wanted": Provide(provide_wanted)})
    async def audit_page(
        self,
        frame: NamedDependency[Frame],
        audit: NamedDependency[Audit],
        users: NamedDependency[Users],
        wanted: NamedDependency[AuditFilter],
        company_id: FromQuery[UUID | None] = None,
        cursor: IdCursor = None,
    ) -> Response[bytes]:
        """What was done with an admin's or an operator's right."""
        wanted = replace(wanted, company_id=company_id)
        listed = await audit.search(wanted, cursor=cursor, limit=PAGE_SIZE)
        addresses = by_text(await users.addresses(people_in(listed.items)))
        return frame.page(
            "operator/audit",
            listed=listed,
            wanted=wanted,
            addresses=addresses,
            exports={form: _export_path(wanted, form) for form in ExportFormat},
            **AUDIT_PARTS,
        )

    @get("/health")
    async def health_page(
        self, frame: NamedDependency[Frame], live_health: NamedDependency[LiveHealth]
    ) -> Response[bytes]:
        """Show the health of both services; a script refreshes it while the page is visible."""
        return frame.page("operator/health", health=await live_health.report())


def _export_path(wanted: AuditFilter, form: ExportFormat) -> str:
    """Where the records that the page lists are had as a file."""
    query = {name: value for name, value in to_builtins(wanted).items() if value is not None}
    return f"/admin/audit/export?{urlencode({**query, 'format': form})}"


@get("/parts/operator/health", guards=[operator_only], include_in_schema=False)
async def health_part(request: AnyRequest, live_health: NamedDependency[LiveHealth]) -> Response[bytes]:
    """What the page on health shows, as it is now."""
    return pages.page(
        "operator/health_now", language_of(request), vocabulary=CONSOLE_WORDS, health=await live_health.report()
    )
