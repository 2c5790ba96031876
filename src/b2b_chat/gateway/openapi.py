"""What the OpenAPI document has beyond the handlers that Litestar reads: chats, errors, the signature, the stream."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from litestar import post
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Components, Contact, Example, License, Operation, SecurityScheme
from litestar.params import Body

from b2b_chat.contract.errors import FAILURES, Code, ErrorBody
from b2b_chat.contract.schemas import CHAT_PATH, MODEL_GPT_5_2, ChatRequest, ChatResult
from b2b_chat.contract.signing import NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from b2b_chat.kit.openapi import EVENT_STREAM, FailureExample, event_stream, failures

DOOR_CODES: Final[tuple[Code, ...]] = (
    "missing_signature",
    "malformed_signature",
    "invalid_signature",
    "stale_timestamp",
    "replayed_nonce",
    "nonce_store_unavailable",
    "body_too_large",
    "internal_error",
)
"""How any signed operation can fail."""

CHAT_CODES: Final = tuple(code for code in FAILURES if code not in {"not_found", "method_not_allowed", "not_ready"})
"""How a chat can fail: in every way but those of other paths and of the probe."""

REQUEST_EXAMPLE: Final = Example(
    summary="A first message, streamed",
    value={
        "model": MODEL_GPT_5_2,
        "messages": [{"role": "user", "content": "How do I cook rice?"}],
        "stream": True,
        "max_completion_tokens": 1000,
        "metadata": {
            "company_id": "0b6e4c5e-6f0c-4c39-9d2e-0d9a3f1f5b11",
            "user_id": "5d1f0f34-96a4-4f0e-9a38-6a8c3b1f7a22",
            "conversation_id": "9a7c2f8e-0c1b-4d5e-8f60-7b2d4c9e1a33",
            "message_id": "c3e8b1d4-2a6f-4b7c-9d80-1e5f6a7b8c44",
        },
    },
)

_STREAM_EXAMPLE: Final = (
    ": keep-alive\n\n"
    'event: delta\ndata: {"text":"Rinse it"}\n\n'
    'event: delta\ndata: {"text":" first."}\n\n'
    'event: final\ndata: {"text":"Rinse it first.",'
    '"usage":{"prompt_tokens":14,"completion_tokens":4,"total_tokens":18},"finish_reason":"stop","upstream":"primary"}\n\n'
)
_SCHEMES: Final = {
    "timestamp": (TIMESTAMP_HEADER, "Unix seconds, digits only."),
    "nonce": (NONCE_HEADER, "16 to 128 of A-Z a-z 0-9 _ -, never used before."),
    "signature": (
        SIGNATURE_HEADER,
        "Lower-case hex HMAC-SHA256 of method, raw path and query, timestamp, nonce and the body's hex SHA-256.",
    ),
}


@dataclass
class StreamingOperation(Operation):
    """An operation that answers with JSON or, where the body asks for it, with a stream of events."""

    def __post_init__(self) -> None:
        """Add the stream to what Litestar found: one status, two media types."""
        found: Any = self.responses
        found["200"].content[EVENT_STREAM] = event_stream("ChatStream", example=_STREAM_EXAMPLE)


def documents(codes: Iterable[Code]) -> dict[int, ResponseSpec]:
    """Return the error responses of an operation that can fail in these ways."""
    found = [FAILURES[code] for code in codes]
    return failures(
        ErrorBody,
        [FailureExample(each.status, each.code, each.message, msgspec.to_builtins(each.body)) for each in found],
    )


def openapi_config(version: str) -> OpenAPIConfig:
    """Return the document's own part: what this is and how calls are signed."""
    return OpenAPIConfig(
        title="gateway_api",
        version=version,
        description="Checks signatures, asks OpenAI, and normalises the answers.",
        contact=Contact(name="The operators of this installation"),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                name: SecurityScheme(type="apiKey", name=header, security_scheme_in="header", description=description)
                for name, (header, description) in _SCHEMES.items()
            }
        ),
        security=[{name: [] for name in _SCHEMES}],
    )


@post(
    CHAT_PATH,
    status_code=200,
    operation_id="createChat",
    operation_class=StreamingOperation,
    response_description="The answer: JSON, or a stream of events where `stream` is true.",
    tags=["chat"],
    responses=documents(CHAT_CODES),
)
async def chat(data: Annotated[ChatRequest, Body(examples=[REQUEST_EXAMPLE])]) -> ChatResult:
    """Answer a conversation's last message.

    A call that fails soon and before the first text of its answer is answered with the error's own status, streamed or
    not; once a stream has begun, it reports the error as an event.
    """
    raise NotImplementedError("described for the document only; ChatEndpoint serves it")
