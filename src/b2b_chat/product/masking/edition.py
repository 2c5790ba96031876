"""Which rules of detection this release has: masks made by others are made anew before the next call."""

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

_CHARACTERS: Final = 6


@cache
def edition() -> str:
    """Return the edition of the rules: other code or other words make another one, so that nobody has to count it.

    A change that finds the same is an edition too. It costs each conversation one more look at its context.
    """
    package = files(__package__)
    digest = hashlib.sha256()
    for file in sorted(_files(package), key=lambda each: each.name):
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()[:_CHARACTERS]


def _files(folder: Traversable) -> list[Traversable]:
    parts = [*folder.iterdir(), *folder.joinpath("words").iterdir()]
    return [part for part in parts if part.name.endswith((".py", ".txt"))]
