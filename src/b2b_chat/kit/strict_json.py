"""Request bodies as msgspec decodes them: straight from bytes into their Struct, in strict mode.

Litestar decodes to plain objects first and converts these leniently, so that `"5"` would pass for 5 and 1 for true; it
takes a body of any content type, and fails with 500 on one that is not UTF-8 or is nested too deeply.
"""

import re
import sys
from codecs import BOM_UTF8
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request
from litestar.types import Empty

from b2b_chat.kit.errors import InvalidRequest, Refusal
from b2b_chat.kit.request_body import read_body
from b2b_chat.kit.text import in_words

_JSON: Final = "application/json"
_PLACE: Final = re.compile(r"`\$\.([a-z0-9_]+)|(?:missing required|unknown) field `(\w+)`")
"""How msgspec names the field at fault, at the end of what it says, or in it."""
T = TypeVar("T")


class UnsupportedMediaType(Refusal):
    """The body's content type is not JSON."""

    code, status = "unsupported_media_type", 415
    message = "Send application/json."


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the body, decoded; a byte order mark before it, which some libraries write, is no part of it.

    Raises:
        InvalidRequest: It is not JSON, or not what the operation takes.
    """
    try:
        return decoder.decode(body.removeprefix(BOM_UTF8))
    except msgspec.MsgspecError as error:  # its text holds places and types, and values only of enumerations
        place = _PLACE.search(str(error))
        param = place and (place[1] or place[2])
        raise InvalidRequest(f"{InvalidRequest.message} {in_words(str(error))}.", param=param) from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{InvalidRequest.message} It is not UTF-8.") from None
    except RecursionError:
        raise InvalidRequest(f"{InvalidRequest.message} It is nested too deeply.") from None


def require_json(media_type: str) -> None:
    """Check a body's content type, which may be missing.

    Raises:
        UnsupportedMediaType: It is not JSON.
    """
    if media_type not in {"", _JSON}:
        raise UnsupportedMediaType


@cache
def _decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return the decoder of one handler's body, of which there are as many as operations."""
    return msgspec.json.Decoder(kind)


class StrictJsonRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded as the type of the handler's `data`."""

    async def body(self) -> bytes:
        """Return the body, as Litestar does, but refuse one that breaks off, which is a defect of ours for Litestar.

        Raises:
            BodyTooLarge, BrokenBody: As `read_body`.
        """
        if self._body is Empty:
            limit = self.route_handler.resolve_request_max_body_size()
            max_bytes = sys.maxsize if limit is None else limit
            self._body = await read_body(self.receive, announced_bytes=self.content_length, max_bytes=max_bytes)
        return self._body

    async def json(self) -> Any:
        """Return the body, decoded.

        Raises:
            UnsupportedMediaType: The content type is not JSON.
            InvalidRequest: It is not JSON, or not what the handler takes.
        """
        require_json(self.content_type[0])
        kind = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        return decode(await self.body(), _decoder_of(kind))
