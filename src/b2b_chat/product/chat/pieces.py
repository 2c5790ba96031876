"""What arrives of an answer, piece by piece."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from b2b_chat.contract.content import ToolCallPiece


class Piece(Struct, frozen=True, gc=False):
    """What has come of an answer since the piece before."""

    text: str
    calls: Sequence[ToolCallPiece] = ()
    is_refusal: bool = False
    """Whether the text is the model's refusal."""

    @property
    def characters(self) -> int:
        """How long it is, with the names and arguments of calls."""
        return len(self.text) + sum(
            len(call.arguments) + len(call.name or "") + len(call.id or "") for call in self.calls
        )


OnPiece: TypeAlias = Callable[[Piece], None]
