"""What the pages say, in each of our languages."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from b2b_chat.product.identity.languages import language_of as language_of  # noqa: PLC0414 - a word of the pages, too
from b2b_chat.product.mail.letters import Language

_FOLDER: Final = files(__package__) / "words"
WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    language: json.loads((_FOLDER / f"{language}.json").read_bytes()) for language in ("ru", "en")
}
