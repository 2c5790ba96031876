"""How responses look in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any, Final

from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, Schema

from b2b_chat.kit.openapi import EVENT_STREAM
from b2b_chat.product.completions.openapi import IDEMPOTENCY_KEY

_STREAM: Final = OpenAPIMediaType(
    schema=Schema(
        type=OpenAPIType.STRING,
        description="OpenAI's typed events in their order: `response.created`, `response.in_progress`, then for each "
        "item `response.output_item.added`, its parts and deltas, and at the end what each was, then one of "
        "`response.completed`, `response.incomplete` (cut at a limit) and `response.failed`.",
    ),
    examples={
        "stream": Example(
            summary="A piece of the text",
            value='event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
            '"item_id":"msg_0198c0de000070008000000000000003","output_index":0,"content_index":0,"logprobs":[],'
            '"delta":"Rinse it first.","sequence_number":4}\n\n',
        )
    },
)


@dataclass
class RespondingOperation(Operation):
    """An operation that answers with JSON or, where it is asked to, with a stream of typed events."""

    def __post_init__(self) -> None:
        """Add the stream to what Litestar found, and the header, which is read where calls are named."""
        found: Any = self.responses
        found["200"].content[EVENT_STREAM] = _STREAM
        self.parameters = [*(self.parameters or ()), IDEMPOTENCY_KEY]
