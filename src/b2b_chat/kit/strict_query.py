"""Queries as strict as bodies: UTF-8, and no parameter that the operation does not take or takes once.

Litestar ignores unknown parameters, takes the last of several, and reads raw bytes as Latin-1. A filter that is ignored
gives a wrong list with status 200.
"""

from functools import cache
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from litestar.enums import MediaType, ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from b2b_chat.kit.errors import InvalidRequest

_MAX_PARAMETERS = 50
_SHOWN_CHARS = 64
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


class UnknownParameter(InvalidRequest):
    """The query has a parameter that the operation does not take."""

    code = "unknown_parameter"
    message = "The query has a parameter that this operation does not take."


class _Parameters(NamedTuple):
    """Those of an operation's query."""

    single: frozenset[str]
    repeated: frozenset[str]


class StrictQueries:
    """ASGI layer inside Litestar, behind its routing, that checks each query against the parameters of its handler.

    Pages and handlers that are in no OpenAPI document take any parameters: links to pages are decorated by mail
    programs, search engines and advertisers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            UnknownParameter: The operation does not take one of the parameters.
            InvalidRequest: The query is not UTF-8, or repeats a parameter that has one value.
        """
        if scope["type"] == ScopeType.HTTP and scope["query_string"]:
            scope["query_string"] = query = as_utf8(scope["query_string"])
            handler = scope["route_handler"]
            if isinstance(handler, HTTPRouteHandler) and not _is_for_browsers(handler):
                _check(query, _parameters_of(handler, frozenset(scope["path_params"])))
        await self._app(scope, receive, send)


def _is_for_browsers(handler: HTTPRouteHandler) -> bool:
    return handler.media_type == MediaType.HTML or not handler.resolve_include_in_schema()


def as_utf8(query: bytes) -> bytes:
    """Return a query with raw UTF-8 percent-encoded, as it should have been sent.

    Raises:
        InvalidRequest: It is not UTF-8, raw or decoded.
    """
    try:
        unquote_to_bytes(query).decode()
        return query if query.isascii() else quote(query.decode(), safe=_ASCII).encode()
    except UnicodeDecodeError:
        raise InvalidRequest("The query is not UTF-8.") from None


def refuse_query(query: bytes) -> None:
    """Check the query of an operation that has no parameters.

    Raises:
        UnknownParameter: There is one.
    """
    if query:
        _check(as_utf8(query), _Parameters(frozenset(), frozenset()))


def _check(query: bytes, parameters: _Parameters) -> None:
    try:
        given = [name for name, _ in parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)]
    except ValueError:
        raise InvalidRequest(f"A query may have {_MAX_PARAMETERS} parameters at most.") from None
    for name in given:
        if name not in parameters.single and name not in parameters.repeated:
            known = sorted(parameters.single | parameters.repeated)
            raise UnknownParameter(_unknown(name, known), param=_shown(name))
    for name in parameters.single:
        if given.count(name) > 1:
            raise InvalidRequest(f"{name}: given more than once.", param=name)


def _unknown(name: str, known: list[str]) -> str:
    taken = f"It takes: {', '.join(known)}." if known else "It takes none."
    return f"This operation has no query parameter '{_shown(name)}'. {taken}"


def _shown(name: str) -> str:
    """Return as much of a name that a client made up as fits into a message."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name[:_SHOWN_CHARS])


@cache
def _parameters_of(handler: HTTPRouteHandler, path_parameters: frozenset[str]) -> _Parameters:
    """Return what a handler and its dependencies take. Litestar reads only the names of the path's parameters."""
    model = handler.create_kwargs_model(path_parameters=dict.fromkeys(path_parameters))  # type: ignore[arg-type]
    return _Parameters(
        single=frozenset(each.field_alias for each in model.expected_query_params if not each.is_sequence),
        repeated=frozenset(each.field_alias for each in model.expected_query_params if each.is_sequence),
    )
