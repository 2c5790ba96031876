"""Pages and their parts: templates, headers, and assets under an address that changes with their content."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from litestar.config.compression import CompressionConfig
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware
from markupsafe import Markup, escape
from msgspec import UNSET

from b2b_chat.product.chat.failures import stored_failure
from b2b_chat.product.conversations.schemas import Message
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.vocabulary import Language
from b2b_chat.product.web import markdown
from b2b_chat.product.web.words import WORDS

# Beside those of every response: kit.security_headers.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types b2b-chat"
    ),
    "Vary": "Accept-Language, Cookie",
}
COMPRESSED: Final = DefineMiddleware(
    CompressionMiddleware, config=CompressionConfig(backend="gzip", gzip_compress_level=5)
)
"""For pages and assets. No page has a secret beside a stranger's text, so sizes reveal nothing (BREACH)."""
_ASSET_HEADERS: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_MEDIA_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_CODE: Final = re.compile("`([^`]+)`")
_SAID_BY_SCRIPTS: Final = frozenset({"js", "refused"})
_ASSETS: Final = {asset.name: asset.read_bytes() for asset in (files(__package__) / "assets").iterdir()}
ASSETS_VERSION: Final = hashlib.sha256(b"".join(_ASSETS[name] for name in sorted(_ASSETS))).hexdigest()[:16]


class AssetNotFound(Refusal):
    """There is no such file, or no longer this version of it."""

    code, status = "asset_not_found", 404
    message = "There is no such file. Load the page again."


def _credits(amount: Decimal | None) -> str:
    """Return an amount without trailing zeros."""
    return "" if amount is None else f"{amount.normalize():f}"


def _hidden(message: Message, words: Mapping[str, str]) -> markdown.Hidden:
    """Return what is said of each value of a message that did not cross the border."""
    if message.hidden is UNSET:
        return ()
    return tuple(
        (value.text, f"{words['js_hidden_when_sent']} {words['js_kind_' + value.kind]}") for value in message.hidden
    )


def _moment(at: datetime) -> str:
    """Return a time for readers without scripts; a script of the page localises it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _inline(text: str) -> Markup:
    """Return a text in which what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


_templates: Final = Environment(
    loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_templates.filters["markdown"] = lambda message, words: markdown.render(message.text, _hidden(message, words))
_templates.filters["underlined"] = lambda message, words: markdown.underlined(message.text, _hidden(message, words))
_templates.filters["credits"] = _credits
_templates.filters["moment"] = _moment
_templates.filters["inline"] = _inline
_templates.tests["retryable"] = lambda code: stored_failure(code).retryable
_templates.globals["assets"] = f"/assets/{ASSETS_VERSION}"


def page(
    name: str, language: Language, *, vocabulary: Mapping[Language, Mapping[str, str]] = WORDS, **context: Any
) -> Response[bytes]:
    """Return a page or a part of one, in a language."""
    words = vocabulary[language]
    body = _templates.get_template(f"{name}.html").render(
        language=language, words=words, script_words=_for_scripts(words), **context
    )
    return Response(body.encode(), headers=PAGE_HEADERS, media_type="text/html")


def _for_scripts(words: Mapping[str, str]) -> str:
    """Return the scripts' texts as JSON for an attribute of the page; those of refusals by their code."""
    said = {name.partition("_")[2]: text for name, text in words.items() if name.partition("_")[0] in _SAID_BY_SCRIPTS}
    return json.dumps(said, ensure_ascii=False)


def asset(version: str, name: str) -> Response[bytes]:
    """Return a file of the pages.

    Raises:
        AssetNotFound: There is no such file in this version.
    """
    if version != ASSETS_VERSION or name not in _ASSETS:
        raise AssetNotFound
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    return Response(_ASSETS[name], headers=_ASSET_HEADERS, media_type=media_type)
