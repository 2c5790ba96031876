"""The texts of the pages, in each of our languages."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from b2b_chat.product.vocabulary import Language

_FOLDER: Final = files(__package__) / "words"
WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    language: json.loads((_FOLDER / f"{language}.json").read_bytes()) for language in ("ru", "en")
}
CONSOLE_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    language: {**WORDS[language], **json.loads((_FOLDER / f"console.{language}.json").read_bytes())}
    for language in WORDS
}
"""The texts of the pages for admins and operators, which the chat's page need not carry."""
REFERENCE_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    language: {name: CONSOLE_WORDS[language][name] for name in ("title", "to_chat")}
    | json.loads((_FOLDER / f"reference.{language}.json").read_bytes())
    for language in WORDS
}
"""The texts of the API's reference."""
