"""Who may pass: the caller is made known before anything of the request is read.

Every route has one of these guards, except `GET /health`.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from b2b_chat.kit.errors import Refusal
from b2b_chat.product.identity.api_keys import Scope
from b2b_chat.product.identity.cookies import SessionCookie
from b2b_chat.product.identity.service import ApiKeys
from b2b_chat.product.identity.sessions import Sessions
from b2b_chat.product.identity.viewer import (
    CompanyBlocked,
    NoCompany,
    OperatorRequired,
    ScopeMissing,
    SessionRequired,
    Unauthenticated,
    UserBlocked,
    Viewer,
)

_BEARER: Final = "bearer "
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OUR_OWN: Final = frozenset({"same-origin", "none"})


class CrossSiteRequest(Refusal):
    """Another website's page sent this, with or without its visitor's knowledge."""

    code, status = "cross_site_request", 403
    message = "This came from another website. From there only an API key may be used."


READING_REFUSALS: Final = (Unauthenticated, NoCompany, CompanyBlocked, UserBlocked, ScopeMissing)
"""What `signed_in` may refuse on a route with a scope."""
ACTING_REFUSALS: Final = (*READING_REFUSALS, CrossSiteRequest)
"""The same for methods that change something."""


class Gatekeeper:
    """Tells who sent a request: by its API key where it has one, else by its session cookie.

    Args:
        api_keys: Knows the keys.
        sessions: Knows the sessions.
        cookie: Carries a session's token.
        public_url: Where browsers find product_api.
    """

    def __init__(self, api_keys: ApiKeys, sessions: Sessions, cookie: SessionCookie, public_url: str) -> None:
        self._api_keys = api_keys
        self._sessions = sessions
        self._cookie = cookie
        parts = urlsplit(public_url)
        self._origin = f"{parts.scheme}://{parts.netloc}".lower()

    async def viewer_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Viewer:
        """The caller.

        Raises:
            Unauthenticated: There is no valid key or session.
            UserBlocked, CompanyBlocked: There is, but it may not be used now.
            CrossSiteRequest: As `refuse_foreign`.
        """
        self.refuse_foreign(connection)
        key = _bearer(connection)
        if key is not None:
            # The key alone decides: no request with one acts by a cookie that came along.
            return await self._api_keys.authenticate(key)
        token = self._cookie.read(connection)
        if token is None:
            raise Unauthenticated
        return await self._sessions.authenticate(token)

    def refuse_foreign(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """See to it that no page of another website changes anything by a visitor's session.

        This is what Go's `http.CrossOriginProtection` does. Browsers send `Sec-Fetch-Site` or at least `Origin` with
        every request that could do harm; one with neither is not a browser's, and a key is not sent unknowingly.

        Raises:
            CrossSiteRequest: The request is another website's.
        """
        headers = connection.headers
        if connection.scope.get("method") in _SAFE_METHODS or _bearer(connection) is not None:
            return
        fetched_from = headers.get("sec-fetch-site")
        origin = headers.get("origin")
        if fetched_from is not None:
            allowed = fetched_from in _OUR_OWN
        else:
            allowed = origin is None or origin.lower() == self._origin or urlsplit(origin).netloc == headers.get("host")
        if not allowed:
            raise CrossSiteRequest


async def anyone(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Let in everyone but the pages of other websites.

    Raises:
        CrossSiteRequest: The request is another website's.
    """
    _gatekeeper(connection).refuse_foreign(connection)


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let in a caller who is known and, where the route's `opt` names a scope, has it in a company.

    Raises:
        CrossSiteRequest: The request is another website's.
        Unauthenticated: There is no valid key or session.
        NoCompany, CompanyBlocked, UserBlocked: The caller cannot act in a company now.
        ScopeMissing: The key or the role may not do this.
    """
    viewer = await _gatekeeper(connection).viewer_of(connection)
    # Known before the refusal, which the audit log tells of.
    connection.scope["user"] = viewer
    scope = handler.opt.get("scope")
    if scope is not None:
        viewer.require(Scope(scope))


async def by_session(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """As `signed_in`, but let in a person only, and no program.

    Raises:
        SessionRequired: The caller has an API key.
    """
    await signed_in(connection, handler)
    if connection.scope["user"].via != "session":
        raise SessionRequired


async def operator_only(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """As `signed_in`, but let in an operator of this installation only.

    Raises:
        OperatorRequired: The caller is none.
    """
    await signed_in(connection, handler)
    if not connection.scope["user"].is_operator:
        raise OperatorRequired


async def provide_viewer(request: Request[Viewer, Any, Any]) -> Viewer:
    """The caller, as the guard found him."""
    return request.user


def _gatekeeper(connection: ASGIConnection[Any, Any, Any, Any]) -> Gatekeeper:
    keeper: Gatekeeper = connection.app.state.gatekeeper
    return keeper


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The API key of a request, if it has one."""
    authorization = connection.headers.get("authorization", "")
    return authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else None
