"""`/admin/keys`, for the operators of this installation."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from b2b_chat.kit.openapi import named
from b2b_chat.kit.pagination import IdCursor, Limit, Page
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import operator_of
from b2b_chat.product.errors import documents
from b2b_chat.product.guards import by_session, operator_only
from b2b_chat.product.identity.operator_keys import NewOperatorKey, OperatorKey
from b2b_chat.product.operators.approvals import SecondOperatorRequired
from b2b_chat.product.operators.keys import OperatorKeyCreate, OperatorKeyNotFound, OperatorKeys
from b2b_chat.product.viewer import Viewer


class OperatorKeyRoutes(Controller):
    """The keys with which operators' programs call `/admin`."""

    path = "/admin/keys"
    tags = ("operators",)
    guards = (operator_only,)

    @get("/", operation_id="listOperatorKeys")
    async def list_keys(
        self, operator_keys: NamedDependency[OperatorKeys], cursor: IdCursor = None, limit: Limit = 50
    ) -> Annotated[Page[OperatorKey], named("OperatorKeyPage")]:
        """List the keys of all operators, revoked ones too, newest first."""
        return await operator_keys.list_keys(cursor=cursor, limit=limit)

    @post(
        "/",
        operation_id="createOperatorKey",
        guards=[by_session],
        security=[{"SessionCookie": []}],
        opt={"audited": Action.OPERATOR_KEY_CREATE, "step_up": True},
    )
    async def create(
        self,
        viewer: NamedDependency[Viewer],
        data: JSONBody[OperatorKeyCreate],
        operator_keys: NamedDependency[OperatorKeys],
    ) -> NewOperatorKey:
        """Make a key that acts in your name. The answer is the only place that ever has it."""
        return await operator_keys.create(viewer, data)

    @delete(
        "/{api_key_id:uuid}",
        operation_id="revokeOperatorKey",
        opt={"audited": Action.OPERATOR_KEY_REVOKE, "step_up": True},
        responses=documents(OperatorKeyNotFound, SecondOperatorRequired),
    )
    async def revoke(
        self, viewer: NamedDependency[Viewer], api_key_id: FromPath[UUID], operator_keys: NamedDependency[OperatorKeys]
    ) -> None:
        """Revoke a key for good: one of your own, or another operator's once a second operator does the same."""
        await operator_keys.revoke(operator_of(viewer), api_key_id)
