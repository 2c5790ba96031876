"""How answers that are streamed look in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any, Final

from litestar.openapi.spec import OpenAPIResponse, OpenAPIType, Operation, Parameter, Reference, Schema

from b2b_chat.contract.schemas import ChatDelta
from b2b_chat.kit.api_document.words import Stream
from b2b_chat.kit.openapi import EVENT_STREAM, event_stream
from b2b_chat.product.chat.events import EVENT_ID
from b2b_chat.product.chat.schemas import ChatFinal, ChatRestart, ChatStart
from b2b_chat.product.errors import ErrorBody


class ChatFailed(ErrorBody, frozen=True):
    """The data of `event: error`: as the body of a failed answer. The stream ends with it."""


STREAM: Final = Stream(
    "Chat",
    "`start` with the ids, `delta` with pieces of the text as they come, then one `final` with the whole answer, its "
    "usage, charge and balance, or one `error` with a code of `sendMessage`. For a reader that asked for it by "
    "`restart`, a `restart` says that the answer broke off and is written anew: the text before it is void. A stream "
    "that ends with neither `final` nor `error` broke off: follow the answer from the last id on. Comments keep "
    "proxies awake, and `retry` says after how many milliseconds to reconnect. In a browser's EventSource the `error` "
    "event has data only where the answer failed: without data the connection broke.",
    {"start": ChatStart, "delta": ChatDelta, "restart": ChatRestart, "final": ChatFinal, "error": ChatFailed},
)
_EVENTS: Final = event_stream(
    "ChatStream",
    example=(
        "retry: 1000\n\n"
        'event: start\ndata: {"conversation_id":"0198c0de-0000-7000-8000-000000000001",'
        '"user_message_id":"0198c0de-0000-7000-8000-000000000002",'
        '"assistant_message_id":"0198c0de-0000-7000-8000-000000000003"}\nid: 1-0\n\n'
        'event: delta\ndata: {"text":"Rinse it"}\nid: 1-8\n\n'
        'event: delta\ndata: {"text":" first."}\nid: 1-15\n\n'
        'event: final\ndata: {"status":"completed","text":"Rinse it first.",'
        '"usage":{"prompt_tokens":14,"completion_tokens":4,"total_tokens":18,"estimated":false},'
        '"charge_credits":"0.009200","balance_credits":"999.990800"}\nid: 1-15-end\n\n'
    ),
)
_AT_THE_END: Final = OpenAPIResponse(description="The last event has been seen: there is nothing to come back for.")
_LIMITS: Final = {name: Reference(ref=f"#/components/headers/{name}") for name in ("RateLimit-Policy", "RateLimit")}
_LAST_EVENT_ID: Final = Parameter(
    name="Last-Event-ID",
    param_in="header",
    description="The id of the last event that was seen: the stream goes on after it.",
    required=False,
    schema=Schema(type=OpenAPIType.STRING, pattern=EVENT_ID),
)


@dataclass
class AnsweringOperation(Operation):
    """An operation that answers with JSON or, where it is asked to, with a stream of events."""

    def __post_init__(self) -> None:
        """Add the stream to what Litestar found: one status, two media types; and the header that resumes one."""
        found: Any = self.responses
        found["200"].content[EVENT_STREAM] = _EVENTS
        found["204"] = _AT_THE_END
        for status in ("200", "429"):
            found[status].headers = {**(found[status].headers or {}), **_LIMITS}
        self.parameters = [*(self.parameters or ()), _LAST_EVENT_ID]


@dataclass
class FollowingOperation(Operation):
    """An operation that answers with a stream of events, and with nothing at its end."""

    def __post_init__(self) -> None:
        """Replace what Litestar found by the stream."""
        found: Any = self.responses
        found["200"].content = {EVENT_STREAM: _EVENTS}
        found["204"] = _AT_THE_END
