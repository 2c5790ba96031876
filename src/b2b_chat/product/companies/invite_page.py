"""The page behind the link in an invite's mail.

Loading it changes nothing; only the click on its button sends the token, which a script of ours takes from the part of
the address that no server sees.
"""

from importlib.resources import files
from typing import Final

from litestar import Response

from b2b_chat.product.identity.languages import preferred_language
from b2b_chat.product.identity.login_page import ASSET_HEADERS, PAGE_HEADERS

_ASSETS: Final = files(__package__) / "assets"
_PAGES: Final = {language: (_ASSETS / f"accept.{language}.html").read_bytes() for language in ("ru", "en")}
_SCRIPT: Final = (_ASSETS / "accept.js").read_bytes()


def page(accept_language: str) -> Response[bytes]:
    """The page, in the reader's language."""
    body = _PAGES[preferred_language(accept_language)]
    return Response(body, headers=PAGE_HEADERS, media_type="text/html")


def script() -> Response[bytes]:
    """Its script, a module."""
    return Response(_SCRIPT, headers=ASSET_HEADERS, media_type="text/javascript")
