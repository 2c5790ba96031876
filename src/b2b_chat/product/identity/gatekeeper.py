"""The gatekeeper: recognises a caller by API key or session cookie."""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

from b2b_chat.kit.clock import Clock
from b2b_chat.product.guards import SAFE_METHODS, CrossSiteRequest, OperatorNetworkRequired
from b2b_chat.product.identity.api_keys import ApiKeys
from b2b_chat.product.identity.cookies import SessionCookie
from b2b_chat.product.identity.sessions import Sessions
from b2b_chat.product.limits.client_ip import ClientIp, is_within, parse_networks
from b2b_chat.product.limits.service import Limits
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.viewer import Unauthenticated, Viewer

_BEARER: Final = "bearer "
_OUR_OWN: Final = frozenset({"same-origin", "none"})


class Gatekeeper:
    """Recognises the caller of a request: by its API key where it has one, else by its session cookie.

    Args:
        api_keys: Knows the keys.
        sessions: Knows the sessions.
        cookie: Carries a session's token.
        limits: Counts the requests that read, and those of strangers.
        client_ip: Finds the address that a request comes from.
        settings: Where browsers find product_api, where operators may come from, how long a proof is fresh.
        clock: The current time.
    """

    def __init__(
        self,
        api_keys: ApiKeys,
        sessions: Sessions,
        cookie: SessionCookie,
        limits: Limits,
        client_ip: ClientIp,
        settings: ProductSettings,
        clock: Clock,
    ) -> None:
        self._limits = limits
        self._api_keys = api_keys
        self._sessions = sessions
        self._cookie = cookie
        self._client_ip = client_ip
        self._operator_networks = parse_networks(settings.operator_networks)
        self._step_up = timedelta(seconds=settings.step_up_seconds)
        self._clock = clock
        parts = urlsplit(settings.public_url)
        self._origin = f"{parts.scheme}://{parts.netloc}".lower()

    async def viewer_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Viewer:
        """Return the caller.

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

    def require_fresh_proof(self, viewer: Viewer) -> None:
        """Refuse a caller who must prove a second factor and has not done so recently.

        Raises:
            StepUpRequired: The caller has not.
        """
        viewer.require_fresh_proof(self._clock() - self._step_up)

    def refuse_network(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Refuse a request from where no operator may come; an address that is not known is outside every network.

        Raises:
            OperatorNetworkRequired: It is from there.
        """
        if self._operator_networks and not is_within(self._client_ip.of(connection), self._operator_networks):
            raise OperatorNetworkRequired

    async def admit_read(self, viewer: Viewer) -> None:
        """Count a request that reads.

        Raises:
            RateLimited: The viewer or their company sends too many.
        """
        await self._limits.admit_read(viewer)

    async def admit_stranger(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Count a request of a person who signs in, or is about to.

        Raises:
            RateLimited: Too many come from this origin.
            LimitsUnavailable: They cannot be counted now.
        """
        await self._limits.admit_stranger(self._client_ip.of(connection))

    def refuse_foreign(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Prevent that a page of another website changes anything by a visitor's session.

        This is what Go's `http.CrossOriginProtection` does. Browsers send `Sec-Fetch-Site` or at least `Origin` with
        every request that could do harm; one with neither is not a browser's, and a key is not sent unknowingly.

        Raises:
            CrossSiteRequest: The request is another website's.
        """
        headers = connection.headers
        if connection.scope.get("method") in SAFE_METHODS or _bearer(connection) is not None:
            return
        fetched_from = headers.get("sec-fetch-site")
        origin = headers.get("origin")
        if fetched_from is not None:
            allowed = fetched_from in _OUR_OWN
        else:
            allowed = origin is None or origin.lower() == self._origin or _host_of(origin) == headers.get("host")
        if not allowed:
            raise CrossSiteRequest


def _host_of(origin: str) -> str:
    """Return the host and port of an Origin; nothing where it is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:  # "http://[x]", which no browser sends
        return ""


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Return the API key of a request, if it has one."""
    authorization = connection.headers.get("authorization", "")
    return authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else None
