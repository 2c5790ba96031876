"""Who may pass: the caller is made known before anything of the request is read."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from b2b_chat.product.identity.api_keys import Scope
from b2b_chat.product.identity.service import ApiKeys, Unauthenticated, Viewer

_BEARER = "bearer "


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let in a caller with a valid API key that has the scope named in the route's `opt`.

    Raises:
        Unauthenticated: There is no valid key.
        ScopeMissing: The key may not do this.
    """
    authorization = connection.headers.get("authorization", "")
    if not authorization.lower().startswith(_BEARER):
        raise Unauthenticated
    api_keys: ApiKeys = connection.app.state.api_keys
    viewer = await api_keys.authenticate(authorization[len(_BEARER) :].strip())
    viewer.require(Scope(handler.opt["scope"]))
    connection.scope["user"] = viewer


async def provide_viewer(request: Request[Viewer, Any, Any]) -> Viewer:
    """The caller, as the guard found him."""
    return request.user
