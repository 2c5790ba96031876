"""What the OpenAPI document says beside the docstrings: names that mean the same in every place, tags, the stream."""

from typing import Final

from msgspec import UNSET, Struct, UnsetType

from b2b_chat.contract.errors import ErrorBody
from b2b_chat.contract.schemas import ChatDelta, ChatResult
from b2b_chat.kit.api_document.words import Stream, Words


class ToolCallPiece(Struct, frozen=True):
    """The data of `event: tool_call`: the next piece of the call at this index; its first has the id and the name."""

    index: int
    """Which of the calls, counted from zero."""
    id: str | UnsetType = UNSET
    """The id of the call."""
    name: str | UnsetType = UNSET
    """The name of the function."""
    arguments: str | UnsetType = UNSET
    """More of the arguments' JSON text."""


class ChatFailed(ErrorBody, frozen=True):
    """The data of `event: error`: as the body of a failed answer. The stream ends with it."""


_FIELDS: Final = {
    "arguments": "The arguments of the call, as a JSON text that the model wrote.",
    "avoid_upstream": "The name of an upstream that broke this answer off before; another is asked first.",
    "cached_tokens": "How many of the prompt's tokens were read from a cache.",
    "code": "The failure's name, for programs.",
    "company_id": "The id of the company that pays.",
    "completion_tokens": "Tokens that the model wrote, hidden reasoning included.",
    "content": "The text, or its parts.",
    "contract": "The form of the border's bodies that this gateway has.",
    "conversation_id": "The id of the conversation.",
    "description": "What it is for, in words for the model.",
    "detail": "How closely the model looks at the image.",
    "finish_reason": "Why the model ended the answer.",
    "id": "Its id.",
    "frequency_penalty": "As OpenAI has it.",
    "max_body_bytes": "The largest body that this gateway reads.",
    "max_completion_tokens": "How many tokens the model may write, hidden reasoning included.",
    "message": "What went wrong, for people.",
    "message_id": "The id of the message that is answered; the same one with the same content is answered once.",
    "messages": "The conversation so far, the question last.",
    "model": "The name of the model.",
    "name": "Its name.",
    "parallel_tool_calls": "Whether the model may call several tools at once.",
    "parameters": "A JSON schema of the function's parameters.",
    "presence_penalty": "As OpenAI has it.",
    "prompt_tokens": "Tokens that the model read.",
    "reasoning_effort": "How long the model thinks.",
    "reasoning_tokens": "How many of the written tokens are hidden reasoning.",
    "refusal": "True where the text is the model's refusal.",
    "response_format": "In which form the answer comes.",
    "retryable": "Whether the same request, unchanged, may succeed later.",
    "role": "Who speaks.",
    "schema": "The JSON schema that the answer keeps to.",
    "seed": "As OpenAI has it.",
    "server_time": "The gateway's clock, in Unix seconds.",
    "status": "Its state.",
    "stop": "Texts at which the model stops.",
    "stream": "Whether the answer comes as server-sent events.",
    "strict": "Whether the model keeps exactly to the schema.",
    "temperature": "As OpenAI has it.",
    "text": "The text.",
    "tool_call_id": "The id of the call that this message answers.",
    "tool_calls": "The calls of tools.",
    "tool_choice": "Whether and which tool the model calls.",
    "tools": "The tools that the model may call.",
    "top_p": "As OpenAI has it.",
    "total_tokens": "All tokens.",
    "type": "The type.",
    "upstream": "Which upstream it was.",
    "url": "A data URL of the image.",
    "usage": "The tokens that it took.",
    "user_id": "The id of the caller's user.",
    "verbosity": "How long the answer is.",
    "version": "Its version.",
}

_STREAM: Final = Stream(
    "Chat",
    "`delta` with a piece of the text, or `tool_call` with a piece of a call, as the answer comes; then one `final` "
    "with the whole of it or one `error`. A stream that ends with neither has failed. Comments keep proxies awake.",
    {"delta": ChatDelta, "tool_call": ToolCallPiece, "final": ChatResult, "error": ChatFailed},
)

WORDS: Final = Words(
    fields=_FIELDS,
    tags={
        "chat": "Answers of the model.",
        "health": "Probes: whether the process lives, and whether it can work.",
        "internal": "What product_api asks to see whether both sides agree.",
    },
    examples={},
    enumerations={},
    headers={
        "X-Request-ID": "The id of this request. The gateway's log has it.",
        "Retry-After": "After how many seconds the same request may be sent again.",
    },
    statuses_to_wait=("409", "429", "503"),
    streams=(_STREAM,),
)
