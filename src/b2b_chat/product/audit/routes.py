"""`/v1/company/audit` for a company's admins, `/admin/audit` for operators."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream
from msgspec.structs import replace

from b2b_chat.kit.pages import Limit, Page
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import operator_of
from b2b_chat.product.audit.export import MEDIA_TYPES, ExportFormat
from b2b_chat.product.audit.repository import AuditFilter
from b2b_chat.product.audit.schemas import AuditRecord
from b2b_chat.product.audit.service import Audit
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import READING_REFUSALS, operator_only, signed_in
from b2b_chat.product.identity.api_keys import Scope
from b2b_chat.product.identity.viewer import OperatorRequired, Unauthenticated, UserBlocked, Viewer

_NAME = r"^[!-~]{1,200}\Z"


async def provide_audit_filter(
    actor: Annotated[
        str | None, QueryParameter(pattern=_NAME, description="Id of a user or key, or user@host of a shell.")
    ] = None,
    user_id: Annotated[UUID | None, QueryParameter(description="The person behind the actor.")] = None,
    action: Annotated[Action | None, QueryParameter(description="What was done.")] = None,
    target: Annotated[
        str | None, QueryParameter(pattern=_NAME, description="Id of anything that it was done to.")
    ] = None,
    since: Annotated[datetime | None, QueryParameter(description="From this time on, UTC if not said.")] = None,
    until: Annotated[datetime | None, QueryParameter(description="Before this time, UTC if not said.")] = None,
) -> AuditFilter:
    """Which records are wanted, by the query."""
    return AuditFilter(
        actor=actor, user_id=user_id, action=action, target=target, since=_aware(since), until=_aware(until)
    )


def _aware(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


class CompanyAuditRoutes(Controller):
    """What was done in a company, for its admins."""

    path = "/v1/company/audit"
    tags = ("audit",)
    guards = (signed_in,)
    opt = {"scope": Scope.ADMIN}  # noqa: RUF012 - Litestar reads it, nobody writes it
    dependencies = {"wanted": Provide(provide_audit_filter)}  # noqa: RUF012 - as above

    @get(
        "/",
        operation_id="listCompanyAudit",
        responses=documents(*READING_REFUSALS),
    )
    async def search(
        self,
        viewer: NamedDependency[Viewer],
        wanted: NamedDependency[AuditFilter],
        audit: NamedDependency[Audit],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> Page[AuditRecord]:
        """List what was done in your company with an admin's right, or to it by an operator, newest first."""
        return await audit.search(replace(wanted, company_id=viewer.company_id), cursor=cursor, limit=limit)


class OperatorAuditRoutes(Controller):
    """What was done in this installation, for its operators."""

    path = "/admin/audit"
    tags = ("operators",)
    guards = (operator_only,)
    dependencies = {"wanted": Provide(provide_audit_filter)}  # noqa: RUF012 - as above

    @get("/", operation_id="listAudit", responses=documents(Unauthenticated, UserBlocked, OperatorRequired))
    async def search(
        self,
        wanted: NamedDependency[AuditFilter],
        audit: NamedDependency[Audit],
        company_id: FromQuery[UUID | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> Page[AuditRecord]:
        """List what was done with an admin's or an operator's right, newest first."""
        return await audit.search(replace(wanted, company_id=company_id), cursor=cursor, limit=limit)

    @get(
        "/export",
        operation_id="exportAudit",
        opt={"audited": Action.AUDIT_EXPORT},
        responses={
            200: ResponseSpec(
                data_container=str,
                media_type=MEDIA_TYPES[ExportFormat.NDJSON],
                description="A record a line, as JSON or as CSV.",
                generate_examples=False,
            ),
            **documents(Unauthenticated, UserBlocked, OperatorRequired),
        },
    )
    async def export(
        self,
        viewer: NamedDependency[Viewer],
        wanted: NamedDependency[AuditFilter],
        audit: NamedDependency[Audit],
        company_id: FromQuery[UUID | None] = None,
        export_format: Annotated[ExportFormat, QueryParameter(name="format")] = ExportFormat.NDJSON,
    ) -> Stream:
        """Download the whole log, or what matches of it, newest first. That it was done is recorded too."""
        pieces = await audit.export(operator_of(viewer), replace(wanted, company_id=company_id), export_format)
        return Stream(
            pieces,
            media_type=MEDIA_TYPES[export_format],
            headers={"Content-Disposition": f'attachment; filename="audit.{export_format}"'},
        )
