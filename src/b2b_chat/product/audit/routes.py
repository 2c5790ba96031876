"""`/v1/company/audit` for a company's admins, `/admin/audit` for operators."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream
from msgspec import Meta
from msgspec.structs import replace

from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.exports import CsvDialect, Dialect, ExportFormat, ExportingOperation, download
from b2b_chat.kit.openapi import named
from b2b_chat.kit.pagination import IdCursor, Limit, Page
from b2b_chat.kit.text import PRINTABLE_ASCII, text_parameter
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import operator_of
from b2b_chat.product.audit.readings import record_reading
from b2b_chat.product.audit.schemas import AuditFilter, AuditRecord
from b2b_chat.product.audit.service import Audit
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import operator_only, signed_in
from b2b_chat.product.transactions import TookTooLong
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope

_Time = Annotated[datetime, Meta(tz=True)]


def _time(description: str) -> QueryParameter:
    return QueryParameter(description=description, schema_extra={"format": "date-time"})


async def provide_audit_filter(
    actor: Annotated[
        str | None,
        text_parameter(PRINTABLE_ASCII, max_length=200, description="Id of a user or key, or user@host of a shell."),
    ] = None,
    user_id: Annotated[UUID | None, QueryParameter(description="The person behind the actor.")] = None,
    action: Annotated[Action | None, QueryParameter(description="What was done.")] = None,
    target: Annotated[
        str | None, text_parameter(PRINTABLE_ASCII, max_length=200, description="Id of anything that it was done to.")
    ] = None,
    since: Annotated[str | None, _time("From this time on.")] = None,
    until: Annotated[str | None, _time("Before this time.")] = None,
) -> AuditFilter:
    """Which records are wanted, by the query.

    Raises:
        InvalidRequest: A time is malformed.
    """
    return AuditFilter(
        actor=actor,
        user_id=user_id,
        action=action,
        target=target,
        since=_read_time("since", since),
        until=_read_time("until", until),
    )


def _read_time(name: str, text: str | None) -> datetime | None:
    try:
        # As in bodies: RFC 3339 and nothing else, with an offset.
        return None if text is None else msgspec.convert(text, _Time)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{InvalidRequest.message} {name}: {error}.", param=name) from None


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
        responses=documents(TookTooLong),
    )
    async def search(
        self,
        viewer: NamedDependency[Viewer],
        wanted: NamedDependency[AuditFilter],
        audit: NamedDependency[Audit],
        cursor: IdCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[AuditRecord], named("AuditRecordPage")]:
        """List what was done in your company with an admin's right, or to it by an operator, newest first."""
        return await audit.search(replace(wanted, company_id=viewer.company_id), cursor=cursor, limit=limit)


class OperatorAuditRoutes(Controller):
    """What was done in this installation, for its operators."""

    path = "/admin/audit"
    tags = ("operators",)
    guards = (operator_only,)
    before_request = staticmethod(record_reading)
    dependencies = {"wanted": Provide(provide_audit_filter)}  # noqa: RUF012 - as above

    @get("/", operation_id="listAudit", opt={"reads": Action.AUDIT_READ}, responses=documents(TookTooLong))
    async def search(
        self,
        wanted: NamedDependency[AuditFilter],
        audit: NamedDependency[Audit],
        company_id: FromQuery[UUID | None] = None,
        cursor: IdCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[AuditRecord], named("AuditRecordPage")]:
        """List what was done with an admin's or an operator's right, newest first."""
        return await audit.search(replace(wanted, company_id=company_id), cursor=cursor, limit=limit)

    @get(
        "/export",
        operation_id="exportAudit",
        opt={"audited": Action.AUDIT_EXPORT},
        operation_class=ExportingOperation,
    )
    async def export(
        self,
        viewer: NamedDependency[Viewer],
        wanted: NamedDependency[AuditFilter],
        audit: NamedDependency[Audit],
        company_id: FromQuery[UUID | None] = None,
        export_format: Annotated[ExportFormat, QueryParameter(name="format")] = ExportFormat.NDJSON,
        dialect: Dialect = CsvDialect.STANDARD,
    ) -> Stream:
        """Download the whole log, or what matches of it, newest first. That it was done is recorded too."""
        wanted = replace(wanted, company_id=company_id)
        pieces = await audit.export(operator_of(viewer), wanted, export_format, dialect)
        return download(pieces, export_format, "audit")
