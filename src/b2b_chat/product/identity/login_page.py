"""The page behind the link in a login mail.

Loading it changes nothing, so that scanners that follow links, and even run scripts, use none up; only the click on its
button sends the token, which a script of ours takes from the part of the address that no server sees.
"""

from importlib.resources import files
from typing import Annotated, Final

from litestar import Response
from litestar.params import HeaderParameter

from b2b_chat.product.vocabulary import Language

_ASSETS: Final = files(__package__) / "assets"
_PAGES: Final = {language: (_ASSETS / f"verify.{language}.html").read_bytes() for language in ("ru", "en")}
_SCRIPT: Final = (_ASSETS / "verify.js").read_bytes()
_STYLE: Final = (_ASSETS / "verify.css").read_bytes()

# What else a page needs to say is said of every answer: kit.security_headers.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Vary": "Accept-Language, Cookie",
}
ASSET_HEADERS: Final = {"Cache-Control": "no-cache"}

AcceptLanguage = Annotated[str, HeaderParameter(name="Accept-Language")]


def page(language: Language) -> Response[bytes]:
    """The page, in a language."""
    return Response(_PAGES[language], headers=PAGE_HEADERS, media_type="text/html")


def script() -> Response[bytes]:
    """Its script, a module."""
    return Response(_SCRIPT, headers=ASSET_HEADERS, media_type="text/javascript")


def style() -> Response[bytes]:
    """Its style."""
    return Response(_STYLE, headers=ASSET_HEADERS, media_type="text/css")
