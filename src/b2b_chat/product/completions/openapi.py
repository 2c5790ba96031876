"""How the completions look in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any, Final

from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, Parameter, Schema

from b2b_chat.kit.openapi import EVENT_STREAM
from b2b_chat.kit.text import portable
from b2b_chat.product.completions.keys import HEADER, KEY

_ID: Final = '"id":"chatcmpl-0198c0de000070008000000000000003","object":"chat.completion.chunk","created":1755000000'
_CHUNK: Final = f'data: {{{_ID},"model":"gpt-5.2","choices":[{{"index":0,"delta":%s,"finish_reason":%s}}]}}\n\n'

_STREAM: Final = OpenAPIMediaType(
    schema=Schema(
        type=OpenAPIType.STRING,
        description="Chunks as OpenAI sends them, each as `data:`: the first has the role, then come pieces of the "
        "text and of calls of tools, then one with `finish_reason` and `b2b`, and with `stream_options.include_usage` "
        "one with the usage and no choice. `data: [DONE]` ends an answer that is whole; one that fails after its "
        'first text ends with `data: {"error": …}` and without it.',
    ),
    examples={
        "stream": Example(
            summary="A short answer",
            value=_CHUNK % ('{"role":"assistant","content":""}', "null")
            + _CHUNK % ('{"content":"Rinse it first."}', "null")
            + _CHUNK % ("{}", '"stop"')
            + "data: [DONE]\n\n",
        )
    },
)


IDEMPOTENCY_KEY: Final = Parameter(
    name=HEADER,
    param_in="header",
    description="Calls with the same key and body are charged once, and get the same answer.",
    required=False,
    schema=Schema(type=OpenAPIType.STRING, pattern=portable(KEY)),
)


@dataclass
class CompletingOperation(Operation):
    """An operation that answers with JSON or, where it is asked to, with a stream of chunks."""

    def __post_init__(self) -> None:
        """Add the stream to what Litestar found, and the header, which is read where calls are named."""
        found: Any = self.responses
        found["200"].content[EVENT_STREAM] = _STREAM
        self.parameters = [*(self.parameters or ()), IDEMPOTENCY_KEY]
