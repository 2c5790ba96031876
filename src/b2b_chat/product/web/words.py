"""What the pages say, in each of our languages."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from litestar.connection import ASGIConnection

from b2b_chat.product.identity.languages import preferred_language
from b2b_chat.product.mail.letters import Language

LANGUAGE_COOKIE: Final = "language"
_FOLDER: Final = files(__package__) / "words"
WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    language: json.loads((_FOLDER / f"{language}.json").read_bytes()) for language in ("ru", "en")
}
CONSOLE_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    language: {**WORDS[language], **json.loads((_FOLDER / f"console.{language}.json").read_bytes())}
    for language in WORDS
}
"""What the pages for admins and operators say; the chat's page need not carry it."""


def language_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Language:
    """The language a person has switched to, else the one the browser asks for."""
    match connection.cookies.get(LANGUAGE_COOKIE):
        case "ru":
            return "ru"
        case "en":
            return "en"
    return preferred_language(connection.headers.get("accept-language", ""))
