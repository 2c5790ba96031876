"""The calls of tools in an answer, from the pieces in which OpenAI and servers like it write them."""

import re
from typing import Final

from msgspec import UNSET, Struct

from b2b_chat.contract.content import MAX_TOOL_CALLS, FunctionCall, ToolCall, ToolCallPiece
from b2b_chat.gateway.errors import UpstreamFailure

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID: Final = re.compile(r"[!-~]{1,256}")


class FunctionChunk(Struct, frozen=True, gc=False):
    """A function's name and arguments, or a piece of them."""

    name: str | None = None
    arguments: str | None = None


class ToolChunk(Struct, frozen=True, gc=False):
    """A call of a tool, or a piece of one. A whole answer has no indexes, and some servers write none in streams."""

    index: int | None = None
    id: str | None = None
    function: FunctionChunk | None = None


class _Call:
    def __init__(self, index: int, id_: str | None) -> None:
        self.index = index
        self.id = id_
        self.name: str | None = None
        self.arguments: list[str] = []
        self.is_told = False

    @property
    def shown_id(self) -> str:
        """Its id, made up where the server gave none."""
        return self.id or f"call_{self.index + 1}"


class ToolCalls:
    """Puts pieces together. A call is passed on once its name is known, under an index that counts from 0."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._waiting: list[ToolCallPiece] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, chunks: list[ToolChunk]) -> None:
        """Take the pieces of one event.

        Raises:
            UpstreamFailure: There are more calls than any model makes.
        """
        for chunk in chunks:
            call = self._call_of(chunk)
            function = chunk.function or FunctionChunk()
            if call.name is None and function.name:
                call.name = function.name
            arguments = function.arguments or ""
            if arguments:
                call.arguments.append(arguments)
            if call.name is not None:
                self._tell(call, arguments)

    def take(self) -> list[ToolCallPiece]:
        """Return the pieces that have come since this was last asked."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def whole(self) -> list[ToolCall]:
        """Return the calls of an answer that has ended.

        Raises:
            UpstreamFailure: One has no name, or none that a tool can have.
        """
        if any(call.name is None or not _NAME.fullmatch(call.name) for call in self._calls):
            raise UpstreamFailure("upstream_malformed")
        return [ToolCall(call.shown_id, FunctionCall(call.name or "", "".join(call.arguments))) for call in self._calls]

    def _call_of(self, chunk: ToolChunk) -> _Call:
        """Return the call that a piece belongs to; one without an index goes on with the last, unless its id is new."""
        if chunk.index is not None:
            known = self._by_index.get(chunk.index)
        else:
            known = self._calls[-1] if self._calls and chunk.id in (None, "", self._calls[-1].id) else None
        if known is not None:
            return known
        if len(self._calls) >= MAX_TOOL_CALLS:
            raise UpstreamFailure("upstream_malformed")
        call = _Call(len(self._calls), chunk.id if chunk.id and _ID.fullmatch(chunk.id) else None)
        self._calls.append(call)
        if chunk.index is not None:
            self._by_index[chunk.index] = call
        return call

    def _tell(self, call: _Call, arguments: str) -> None:
        if not call.is_told:
            call.is_told = True
            whole = "".join(call.arguments)
            self._waiting.append(ToolCallPiece(call.index, call.shown_id, call.name or UNSET, whole))
        elif arguments:
            self._waiting.append(ToolCallPiece(call.index, arguments=arguments))
