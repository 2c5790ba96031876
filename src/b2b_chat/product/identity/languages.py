"""The language of a response: the one that the person has chosen, else the one that the browser asks for."""

from typing import Any, Final

from litestar.connection import ASGIConnection

from b2b_chat.product.vocabulary import Language

DEFAULT: Final[Language] = "ru"
LANGUAGE_COOKIE: Final = "language"


def language_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Language:
    """Return the language that the person has chosen, else the one that the browser asks for."""
    match connection.cookies.get(LANGUAGE_COOKIE):
        case "ru":
            return "ru"
        case "en":
            return "en"
    return preferred_language(connection.headers.get("accept-language", ""))


def preferred_language(accept_language: str) -> Language:
    """Return the one of our languages that an `Accept-Language` header prefers; Russian where it names neither."""
    best: Language = DEFAULT
    best_weight = 0.0
    for part in accept_language.split(","):
        tag, _, parameter = part.strip().lower().partition(";")
        language: Language | None = "ru" if tag[:2] == "ru" else "en" if tag[:2] == "en" else None
        weight = _weight(parameter)
        if language is not None and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0
