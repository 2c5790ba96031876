"""What `POST /v1/responses` takes and answers: OpenAI's forms, as far as they need no state."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from b2b_chat.product.completions.schemas import Charge, Tokens


class ResponseCreate(Struct, frozen=True, kw_only=True):
    """A request for an answer to a text, or to items that bring their own context."""

    model: str
    """The name of the model, or one that the operator has mapped to it."""
    input: str | list[dict[str, Any]]
    """A text, or items: messages, `function_call` and `function_call_output`."""
    instructions: str | None = None
    """Said to the model before the input."""
    stream: bool | None = None
    """Whether the answer is sent as typed events while it is written."""
    store: bool | None = None
    """Taken and answered with `false`: nothing is stored for a later request."""
    max_output_tokens: Tokens | None = None
    """The longest answer, tokens; CHAT_MAX_COMPLETION_TOKENS and the balance may make it shorter."""
    temperature: float | None = None
    top_p: float | None = None
    text: dict[str, Any] | None = None
    """`format` (`text`, `json_object`, or `json_schema` with a schema) and `verbosity`."""
    reasoning: dict[str, Any] | None = None
    """`effort`; a summary is not written."""
    tools: list[dict[str, Any]] | None = None
    """Functions that the model may call; tools of OpenAI's own are not supported."""
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    metadata: dict[str, Any] | None = None
    """Returned as it is."""
    include: list[str] | None = None
    previous_response_id: Any = None
    """Not supported, like all that follow: it needs state."""
    conversation: Any = None
    background: Any = None
    prompt: Any = None
    context_management: Any = None
    top_logprobs: Any = None


class OutputText(Struct, frozen=True):
    """A text of the model's."""

    text: str
    type: Literal["output_text"] = "output_text"
    annotations: list[Any] = []
    logprobs: list[Any] = []


class OutputRefusal(Struct, frozen=True):
    """A refusal of the model's."""

    refusal: str
    type: Literal["refusal"] = "refusal"


ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputMessage(Struct, frozen=True):
    """What the model says."""

    id: str
    content: list[dict[str, Any]]
    status: ItemStatus
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"


class FunctionCallItem(Struct, frozen=True):
    """A function that the model calls."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus
    type: Literal["function_call"] = "function_call"


class InputDetails(Struct, frozen=True):
    """What the tokens of a prompt were."""

    cached_tokens: int


class OutputDetails(Struct, frozen=True):
    """What the tokens of an answer were."""

    reasoning_tokens: int


class ResponseUsage(Struct, frozen=True):
    """Tokens that an answer took."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class IncompleteDetails(Struct, frozen=True):
    """Why an answer is cut."""

    reason: Literal["max_output_tokens", "content_filter"]
    """Which limit cut it, or that a filter did."""


class ResponseFailure(Struct, frozen=True):
    """Why there is no answer."""

    code: str
    """The code, for programs."""
    message: str


class ResponseObject(Struct, frozen=True, kw_only=True):
    """An answer."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    """Unix seconds."""
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    background: bool = False
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    model: str
    """The model that answered, whatever name was asked for."""
    output: list[dict[str, Any]]
    """Messages and calls of functions."""
    parallel_tool_calls: bool
    previous_response_id: None = None
    reasoning: dict[str, Any]
    service_tier: Literal["default"] = "default"
    store: bool = False
    temperature: float
    text: dict[str, Any]
    tool_choice: Any
    tools: list[dict[str, Any]]
    top_logprobs: int = 0
    top_p: float
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: None = None
    metadata: dict[str, Any]
    b2b: Charge | UnsetType = UNSET
