"""What the completions take and answer: OpenAI's forms, as far as they can be kept here.

Bodies are read leniently, as OpenAI's clients expect: unknown fields are ignored, and null means unset.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.contract.content import ToolCall
from b2b_chat.contract.schemas import FinishReason

Tokens = Annotated[int, Meta(ge=1)]


class CompletionMessage(Struct, frozen=True):
    """One message of a request; `content` is a text or a list of parts."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    """A text, or parts: `text`, `refusal`, and `image_url` with a data URL."""
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    audio: Any = None
    """Not supported."""
    function_call: Any = None
    """Not supported: use `tool_calls`."""


class StreamOptions(Struct, frozen=True):
    """How a stream is sent."""

    include_usage: bool | None = None
    """Whether a chunk with the usage comes before `[DONE]`."""


class CompletionCreate(Struct, frozen=True, kw_only=True):
    """A request for an answer to messages that bring their own context."""

    model: str
    """The name of the model, or one that the operator has mapped to it."""
    messages: Annotated[list[CompletionMessage], Meta(min_length=1, max_length=1024)]
    stream: bool | None = None
    """Whether the answer is sent as it is written."""
    stream_options: StreamOptions | None = None
    store: bool | None = None
    """Whether the exchange is kept as a conversation; else its text is erased after `COMPLETIONS_KEEP_SECONDS`."""
    max_completion_tokens: Tokens | None = None
    """The longest answer, tokens; CHAT_MAX_COMPLETION_TOKENS and the balance may make it shorter."""
    max_tokens: Tokens | None = None
    """An older name of `max_completion_tokens`."""
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    response_format: dict[str, Any] | None = None
    """`text`, `json_object`, or `json_schema` with a schema."""
    tools: list[dict[str, Any]] | None = None
    """Functions that the model may call; other tools are not supported."""
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    n: Any = None
    """1, as all that follow have their default or are left out: nothing else is supported."""
    logprobs: Any = None
    top_logprobs: Any = None
    logit_bias: Any = None
    modalities: Any = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None
    functions: Any = None
    function_call: Any = None


class PromptDetails(Struct, frozen=True):
    """What the tokens of a prompt were."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionDetails(Struct, frozen=True):
    """What the tokens of an answer were."""

    reasoning_tokens: int
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class CompletionUsage(Struct, frozen=True):
    """Tokens that an answer took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class Charge(Struct, frozen=True):
    """What OpenAI's form has no place for: the charge, and the ids by which it is found in the ledger."""

    charge_credits: str
    balance_credits: str
    """After the charge."""
    user_message_id: UUID
    """The `message_id` of the entry in the ledger."""
    assistant_message_id: UUID
    conversation_id: UUID
    is_estimated: bool
    """Whether the tokens were estimated, since the upstream did not count them."""


class AnswerMessage(Struct, frozen=True):
    """What the model says."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[ToolCall] | UnsetType = UNSET


class Choice(Struct, frozen=True):
    """The one answer."""

    index: int
    message: AnswerMessage
    logprobs: None
    finish_reason: FinishReason


class Completion(Struct, frozen=True):
    """An answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    """Unix seconds."""
    model: str
    """The model that answered, whatever name was asked for."""
    choices: list[Choice]
    usage: CompletionUsage
    service_tier: None
    system_fingerprint: None
    b2b: Charge


class Model(Struct, frozen=True):
    """A name that may be asked for."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(Struct, frozen=True):
    """All of them."""

    object: Literal["list"]
    data: list[Model]
