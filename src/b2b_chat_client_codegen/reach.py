"""Which types the kept operations need."""

from collections.abc import Iterable, Iterator
from typing import Final

from b2b_chat_client_codegen.document import Alias, Document, ListOf, MapOf, Named, Object, Type
from b2b_chat_client_codegen.naming import place_of

_WITHOUT_AN_OPERATION: Final = ("ErrorCode",)
"""What every operation may answer with when it fails."""


def needed_types(document: Document) -> list[Object | Alias]:
    """Return the types that the clients' operations take or return, and those within them."""
    known = {each.name: each for each in document.types()}
    needed: set[str] = set()
    found = [*_WITHOUT_AN_OPERATION, *_of_operations(document)]
    while found:
        name = found.pop()
        if name not in needed and name in known:
            needed.add(name)
            found += _names(_parts(known[name]))
    return [each for name, each in known.items() if name in needed]


def _of_operations(document: Document) -> Iterator[str]:
    for operation in document.operations():
        if place_of(operation) is not None:
            parts = [part.type for part in (*operation.query, *(operation.body or ()))]
            yield from _names([*parts, *([operation.result] if operation.result else [])])


def _parts(named: Object | Alias) -> list[Type]:
    return [named.type] if isinstance(named, Alias) else [part.type for part in named.properties]


def _names(types: Iterable[Type]) -> Iterator[str]:
    for each in types:
        match each:
            case Named(name):
                yield name
            case ListOf(inner) | MapOf(inner):
                yield from _names([inner])
