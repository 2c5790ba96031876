"""Guards: they recognise the caller before anything else of the request is read.

Every route has one of these guards, except `GET /health`. They rest on `viewer` alone and know the gatekeeper by a
protocol: routes of every domain use them, and identity, which recognises callers, may use other domains.
"""

from typing import Any, Final, Protocol

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from b2b_chat.product.limits.service import LimitsUnavailable, RateLimited
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.viewer import (
    CompanyBlocked,
    NoCompany,
    OperatorRequired,
    ScopeMissing,
    SecondFactorRequired,
    SessionRequired,
    StepUpRequired,
    Unauthenticated,
    UserBlocked,
    Viewer,
)
from b2b_chat.product.vocabulary import Scope

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class CrossSiteRequest(Refusal):
    """Another website's page sent this, with or without its visitor's knowledge."""

    code, status = "cross_site_request", 403
    message = (
        "This came from another website. From there only an API key may be used, and by pages only if the operator has "
        "named their website in CORS_ALLOWED_ORIGINS."
    )


class OperatorNetworkRequired(Refusal):
    """An operator calls from an address outside `OPERATOR_NETWORKS`."""

    code, status = "operator_network_required", 403
    message = "Operators may not act from this network."


class Gatekeeper(Protocol):
    """Recognises callers; the app keeps one in its state."""

    async def viewer_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Viewer:
        """Return the caller, or raise the refusal that says why no one is recognised."""
        ...

    def require_fresh_proof(self, viewer: Viewer) -> None:
        """Raise `StepUpRequired` for a caller who must prove a second factor and has not done so recently."""
        ...

    def refuse_network(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Raise `OperatorNetworkRequired` for a request from outside the operators' networks."""
        ...

    async def admit_read(self, viewer: Viewer) -> None:
        """Count a request that reads, or raise `RateLimited`."""
        ...

    async def admit_stranger(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Count a request of a person who signs in, by its origin, or raise `RateLimited`."""
        ...

    def refuse_foreign(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Raise `CrossSiteRequest` for a request from another website's page."""
        ...


async def anyone(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Let in everyone but the pages of other websites.

    Raises:
        CrossSiteRequest: The request is another website's.
    """
    _gatekeeper(connection).refuse_foreign(connection)


async def counted_stranger(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """As `anyone`, but count where the request comes from: before a byte of its body is read.

    Raises:
        RateLimited: Too many come from there.
        LimitsUnavailable: They cannot be counted now.
    """
    await anyone(connection, handler)
    await _gatekeeper(connection).admit_stranger(connection)


async def signed_in(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let in a caller who is known and, where the route's `opt` names a scope, has it in a company.

    Raises:
        CrossSiteRequest: The request is another website's.
        Unauthenticated: There is no valid key or session.
        NoCompany, CompanyBlocked, UserBlocked: The caller cannot act in a company now.
        ScopeMissing: The key or the role may not do this.
        SecondFactorRequired: The session has yet to prove its second factor, and the route's `opt` does not let it in.
        StepUpRequired: The route's `opt` wants a fresh proof of it: `"step_up": True` of keys too, `"of_sessions"` not.
        RateLimited: The request reads, and the caller or their company reads too often.
    """
    gatekeeper = _gatekeeper(connection)
    viewer = await gatekeeper.viewer_of(connection)
    # Set before a refusal, which the audit log records.
    connection.scope["user"] = viewer
    if not handler.opt.get("before_second_factor"):
        viewer.require_second_factor()
    if connection.scope.get("method") in SAFE_METHODS:
        await gatekeeper.admit_read(viewer)
    scope = handler.opt.get("scope")
    if scope is not None:
        viewer.require(Scope(scope))
    step_up = handler.opt.get("step_up")
    if step_up and (viewer.via == "session" or step_up != "of_sessions"):
        gatekeeper.require_fresh_proof(viewer)


async def by_session(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """As `signed_in`, but let in a person only, and no program.

    Raises:
        SessionRequired: The caller has an API key.
    """
    await signed_in(connection, handler)
    if connection.scope["user"].via != "session":
        raise SessionRequired


async def by_api_key(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """As `signed_in`, but let in a program only: a session is no credential here.

    Raises:
        Unauthenticated: The request has no API key.
    """
    if not connection.headers.get("authorization", "").lower().startswith("bearer "):
        raise Unauthenticated
    await signed_in(connection, handler)


async def operator_only(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """As `signed_in`, but let in an operator of this installation only.

    Raises:
        OperatorRequired: The caller is not an operator.
        OperatorNetworkRequired: Operators may not come from this address.
    """
    await signed_in(connection, handler)
    if not connection.scope["user"].is_operator:
        raise OperatorRequired
    _gatekeeper(connection).refuse_network(connection)


_REFUSALS: Final[dict[Any, tuple[type[Refusal], ...]]] = {
    anyone: (),
    counted_stranger: (RateLimited, LimitsUnavailable),
    signed_in: (Unauthenticated, UserBlocked),
    by_session: (Unauthenticated, UserBlocked, SessionRequired),
    by_api_key: (Unauthenticated, UserBlocked),
    operator_only: (Unauthenticated, UserBlocked, OperatorRequired, OperatorNetworkRequired),
}
_REFUSALS_FOR_A_SCOPE: Final = (NoCompany, CompanyBlocked, ScopeMissing)


def refusals_of(handler: HTTPRouteHandler) -> list[type[Refusal]]:
    """Return what the guards of a route may refuse."""
    guards = handler.resolve_guards()
    found = [refusal for guard in guards for refusal in _REFUSALS[guard]]
    if guards and handler.opt.get("scope") is not None:
        found += _REFUSALS_FOR_A_SCOPE
    if any(guard not in {anyone, by_api_key} for guard in guards) and not handler.opt.get("before_second_factor"):
        found.append(SecondFactorRequired)
    if guards and handler.opt.get("step_up"):
        found.append(StepUpRequired)
    if guards and not handler.http_methods <= SAFE_METHODS:
        if by_api_key not in guards:  # no browser adds a key by itself
            found.append(CrossSiteRequest)
    elif set(guards) - {anyone, counted_stranger}:
        found.append(RateLimited)
    return found


async def provide_viewer(request: Request[Viewer, Any, Any]) -> Viewer:
    """The caller, as the guard recognised them."""
    return request.user


def _gatekeeper(connection: ASGIConnection[Any, Any, Any, Any]) -> Gatekeeper:
    keeper: Gatekeeper = connection.app.state.gatekeeper
    return keeper
