"""The cookies of browsers: of a session, of a request to sign in, and of a browser that signed in before."""

from typing import Any, ClassVar, Final, Literal

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from msgspec import Struct

from b2b_chat.product.settings import ProductSettings

SameSite = Literal["strict", "lax", "none"]

_LOGIN_SECONDS: Final = 86_400
"""Longer than any login takes, however late its mail arrives."""


class _OurCookie(Struct, frozen=True):
    """How this installation sets a cookie."""

    base_name: ClassVar[str]

    is_secure: bool
    same_site: SameSite
    max_age_seconds: int

    @property
    def name(self) -> str:
        """With the prefix, a browser takes it from our own host over TLS only, and never from a sibling domain."""
        return f"__Host-{self.base_name}" if self.is_secure else self.base_name

    def read(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
        """Return the value that a request carries."""
        return connection.cookies.get(self.name) or None

    def holding(self, value: str) -> Cookie:
        """Return the cookie with a value."""
        return self._cookie(value, self.max_age_seconds)

    def cleared(self) -> Cookie:
        """Return the cookie that makes a browser forget the value."""
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


class SessionCookie(_OurCookie, frozen=True):
    """Carries a session's token."""

    base_name = "session"


class LoginCookie(_OurCookie, frozen=True):
    """Carries the value of a browser's request for a mail: the codes of that mail belong to this browser."""

    base_name = "login"


class KnownBrowserCookie(_OurCookie, frozen=True):
    """Carries proof that a browser has signed in before."""

    base_name = "known-browser"


class LoginCookies(Struct, frozen=True):
    """The two cookies of signing in."""

    login: LoginCookie
    known_browser: KnownBrowserCookie


def login_cookies_of(settings: ProductSettings) -> LoginCookies:
    """Return the cookies of signing in as these settings have them."""
    how = settings.cookie_secure, settings.cookie_samesite
    return LoginCookies(LoginCookie(*how, _LOGIN_SECONDS), KnownBrowserCookie(*how, settings.known_browser_seconds))
