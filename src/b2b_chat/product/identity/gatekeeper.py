"""The gatekeeper: recognises a caller by API key or session cookie."""

from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

from b2b_chat.product.guards import SAFE_METHODS, CrossSiteRequest
from b2b_chat.product.identity.cookies import SessionCookie
from b2b_chat.product.identity.service import ApiKeys
from b2b_chat.product.identity.sessions import Sessions
from b2b_chat.product.limits.client_ip import ClientIp
from b2b_chat.product.limits.service import Limits
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
        client_ip: Knows where a request comes from.
        public_url: Where browsers find product_api.
    """

    def __init__(
        self,
        api_keys: ApiKeys,
        sessions: Sessions,
        cookie: SessionCookie,
        limits: Limits,
        client_ip: ClientIp,
        public_url: str,
    ) -> None:
        self._limits = limits
        self._client_ip = client_ip
        self._api_keys = api_keys
        self._sessions = sessions
        self._cookie = cookie
        parts = urlsplit(public_url)
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

    async def admit_read(self, viewer: Viewer) -> None:
        """Count a request that reads.

        Raises:
            RateLimited: The viewer or their company sends too many.
        """
        await self._limits.admit_read(viewer)

    async def admit_stranger(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Count a request of somebody who signs in, or is about to.

        Raises:
            RateLimited: Too many come from there.
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
