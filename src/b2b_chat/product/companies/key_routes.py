"""`/v1/company/api-keys`, for the admins of a company."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from b2b_chat.kit.openapi import named
from b2b_chat.kit.pagination import IdCursor, Limit, Page
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.companies.ceiling import RoleTooLow
from b2b_chat.product.companies.keys import ApiKeyNotFound, CompanyKeys, TooManyApiKeys
from b2b_chat.product.companies.schemas import (
    ApiKeyCreate,
)
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import by_session, signed_in
from b2b_chat.product.identity.schemas import ApiKey, NewApiKey
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Scope


class ApiKeyRoutes(Controller):
    """The keys that your company's programs use."""

    path = "/v1/company/api-keys"
    tags = ("company",)
    opt = {"scope": Scope.ADMIN}  # noqa: RUF012 - Litestar reads it, nobody writes it

    # A key makes no key: one that leaked would outlive its end and its revocation by others.
    @post(
        "/",
        operation_id="createApiKey",
        guards=[by_session],
        security=[{"SessionCookie": []}],
        opt={"audited": Action.API_KEY_CREATE, "step_up": True},
        responses=documents(TooManyApiKeys),
    )
    async def create(
        self, viewer: NamedDependency[Viewer], data: JSONBody[ApiKeyCreate], company_keys: NamedDependency[CompanyKeys]
    ) -> NewApiKey:
        """Make a key that acts in your name. It is shown this once. Only a person signed in makes keys."""
        return await company_keys.create(viewer, data)

    @get("/", operation_id="listApiKeys", guards=[signed_in])
    async def list_keys(
        self,
        viewer: NamedDependency[Viewer],
        company_keys: NamedDependency[CompanyKeys],
        cursor: IdCursor = None,
        limit: Limit = 50,
    ) -> Annotated[Page[ApiKey], named("ApiKeyPage")]:
        """List the keys of your company, revoked ones too, newest first."""
        return await company_keys.list_keys(viewer, cursor=cursor, limit=limit)

    @delete(
        "/{api_key_id:uuid}",
        operation_id="revokeApiKey",
        guards=[signed_in],
        opt={"audited": Action.API_KEY_REVOKE, "step_up": True},
        responses=documents(ApiKeyNotFound, RoleTooLow),
    )
    async def revoke(
        self, viewer: NamedDependency[Viewer], api_key_id: FromPath[UUID], company_keys: NamedDependency[CompanyKeys]
    ) -> None:
        """End a key for good."""
        await company_keys.revoke(viewer, api_key_id)
