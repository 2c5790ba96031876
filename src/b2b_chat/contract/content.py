"""What a message is made of besides plain text: parts, images, and calls of tools."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_IMAGE_URL_CHARS: Final = 28_000_000
"""Of one image as a data URL: 20 MiB of an image are as many characters in Base64."""
MAX_PARTS: Final = 256
"""Of one message."""
MAX_TOOL_CALLS: Final = 128
"""Of one message."""
IMAGE_URL: Final = r"^data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}\Z"
"""An image travels inside the request. No address is ever fetched."""

FUNCTION_NAME: Final = r"^[A-Za-z0-9_-]+\Z"
TOOL_CALL_ID: Final = r"^[^\x00-\x1f]+\Z"

FunctionName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=FUNCTION_NAME)]
"""The name of a tool, as OpenAI takes it."""
ToolCallId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256, pattern=TOOL_CALL_ID)]


class TextPart(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """A text in a message of parts."""

    text: str


class ImageUrl(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An image as a data URL, and how closely the model shall look at it: `low`, `high` or `auto`."""

    url: Annotated[str, Meta(max_length=MAX_IMAGE_URL_CHARS, pattern=IMAGE_URL)]
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class ImagePart(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    """An image in a message of parts."""

    image_url: ImageUrl


ContentPart: TypeAlias = TextPart | ImagePart
Content: TypeAlias = str | Annotated[list[ContentPart], Meta(min_length=1, max_length=MAX_PARTS)] | None
"""What a message says: a text, or parts; None only beside `tool_calls`."""


class FunctionCall(Struct, frozen=True, forbid_unknown_fields=True):
    """What a tool is called with: `arguments` is JSON as the model wrote it, which need not be valid."""

    name: FunctionName
    arguments: str


class ToolCall(Struct, frozen=True, forbid_unknown_fields=True):
    """A call of a tool, in a message of the model."""

    id: ToolCallId
    function: FunctionCall
    type: Literal["function"] = "function"


class ToolCallPiece(Struct, frozen=True, omit_defaults=True):
    """The data of `event: tool_call`: the next piece of the call at this index.

    The first piece of a call has its id and its name; `arguments` of all its pieces, joined, are the call's.
    """

    index: Annotated[int, Meta(ge=0, lt=MAX_TOOL_CALLS)]
    id: ToolCallId | UnsetType = UNSET
    name: FunctionName | UnsetType = UNSET
    arguments: str = ""


class Piece(Struct, frozen=True, gc=False):
    """What has come of an answer since the piece before: text, or pieces of calls of tools, or both."""

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


def joined_calls(pieces: Iterable[ToolCallPiece]) -> list[ToolCall]:
    """Return the calls that pieces make up, in the order of their indexes; those without a name are left out."""
    names: dict[int, tuple[str, str]] = {}
    arguments: dict[int, list[str]] = {}
    for piece in pieces:
        if piece.name is not UNSET:
            names[piece.index] = (piece.id or "", piece.name)
        arguments.setdefault(piece.index, []).append(piece.arguments)
    return [
        ToolCall(id_, FunctionCall(name, "".join(arguments[index]))) for index, (id_, name) in sorted(names.items())
    ]


class SentCalls:
    """What a reader has been sent of an answer's calls, and so what it lacks of the whole."""

    def __init__(self) -> None:
        self._arguments: dict[int, int] = {}

    def note(self, pieces: Iterable[ToolCallPiece]) -> None:
        """Take note that these pieces were sent."""
        for piece in pieces:
            self._arguments[piece.index] = self._arguments.get(piece.index, 0) + len(piece.arguments)

    def lacking(self, calls: Iterable[ToolCall]) -> list[ToolCallPiece]:
        """Return the pieces that make what was sent into these calls."""
        found: list[ToolCallPiece] = []
        for index, call in enumerate(calls):
            sent = self._arguments.get(index)
            if sent is None:
                found.append(ToolCallPiece(index, call.id, call.function.name, call.function.arguments))
            elif rest := call.function.arguments[sent:]:
                found.append(ToolCallPiece(index, arguments=rest))
        return found
