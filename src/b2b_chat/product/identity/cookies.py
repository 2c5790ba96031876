"""The cookie that carries a session's token."""

from typing import Any, Literal

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from msgspec import Struct

SameSite = Literal["strict", "lax", "none"]


class SessionCookie(Struct, frozen=True):
    """How this installation sets its session cookie."""

    is_secure: bool
    same_site: SameSite
    max_age_seconds: int

    @property
    def name(self) -> str:
        """With the prefix, a browser takes it from our own host over TLS only, and never from a sibling domain."""
        return "__Host-session" if self.is_secure else "session"

    def read(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
        """The token that a request carries."""
        return connection.cookies.get(self.name) or None

    def holding(self, token: str) -> Cookie:
        """The cookie with a token."""
        return self._cookie(token, self.max_age_seconds)

    def cleared(self) -> Cookie:
        """The cookie that makes a browser forget the token."""
        return self._cookie("", 0)

    def _cookie(self, value: str, max_age_seconds: int) -> Cookie:
        return Cookie(
            key=self.name,
            value=value,
            max_age=max_age_seconds,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite=self.same_site,
        )
