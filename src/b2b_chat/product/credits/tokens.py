"""Counting tokens as the model does, by `o200k_base`, the vocabulary of GPT-4o and of all GPT-5."""

import asyncio
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Final, Protocol, cast

_PACKAGE: Final = "bpe_openai"
_VOCABULARY: Final = "o200k_base"
_PIECE_CHARACTERS: Final = 8192
"""Counting takes 10 to 50 µs a KB and holds the interpreter's lock: so much at a time delays nobody."""


class _Encoding(Protocol):
    def count(self, text: str) -> int: ...


def load_tokenizer() -> None:
    """Load the vocabulary now, which takes some 60 ms once, and not when the first message comes."""
    _encoding()


async def count_tokens(text: str) -> int:
    """Return how many tokens a text has; a long one is counted in pieces, between which others may run.

    Cutting a text into pieces makes it one token longer at most for each cut.
    """
    count = _encoding().count
    if len(text) <= _PIECE_CHARACTERS:
        return count(text)
    tokens = 0
    for start in range(0, len(text), _PIECE_CHARACTERS):
        tokens += count(text[start : start + _PIECE_CHARACTERS])
        await asyncio.sleep(0)
    return tokens


@cache
def _encoding() -> _Encoding:
    """Load the compiled module alone.

    The package around it reads each vocabulary once more, into Python objects: 65 MB and 0.4 s for each process.
    """
    package = find_spec(_PACKAGE)
    name = f"{_PACKAGE}._bindings"
    spec = PathFinder.find_spec(name, package.submodule_search_locations) if package is not None else None
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not installed", name=name)
    bindings = module_from_spec(spec)
    spec.loader.exec_module(bindings)
    return cast("_Encoding", bindings.tokenizer_for_encoding(_VOCABULARY))
