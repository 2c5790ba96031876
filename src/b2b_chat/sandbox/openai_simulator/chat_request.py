"""The body of `POST /v1/chat/completions`, validated as OpenAI does."""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from b2b_chat.sandbox.openai_simulator.api_errors import ERRORS, ApiError, Refused

SNAPSHOTS: Final = {
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "gpt-5.2-2025-12-11": "gpt-5.2-2025-12-11",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
}
"""The models that exist here, and the name by which each answers."""

_Role = Literal["system", "assistant", "user", "function", "tool", "developer"]


class ContentPart(Struct):
    """A part of a message; only text parts count here."""

    type: str
    text: str = ""


class Message(Struct):
    """One message of the conversation."""

    role: _Role
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        """Its text, whichever way it was given."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content or ())


class StreamOptions(Struct, forbid_unknown_fields=True):
    """Options of a stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(Struct, forbid_unknown_fields=True):
    """Every documented parameter; those of type Raw are accepted and change nothing."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: int | None = None
    n: Annotated[int, Meta(ge=1, le=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | None = None
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | None = None
    audio: Raw = Raw()
    frequency_penalty: Raw = Raw()
    function_call: Raw = Raw()
    functions: Raw = Raw()
    logit_bias: Raw = Raw()
    logprobs: Raw = Raw()
    modalities: Raw = Raw()
    moderation: Raw = Raw()
    parallel_tool_calls: Raw = Raw()
    prediction: Raw = Raw()
    presence_penalty: Raw = Raw()
    prompt_cache_key: Raw = Raw()
    prompt_cache_options: Raw = Raw()
    prompt_cache_retention: Raw = Raw()
    reasoning_effort: Raw = Raw()
    response_format: Raw = Raw()
    safety_identifier: Raw = Raw()
    seed: Raw = Raw()
    service_tier: Raw = Raw()
    stop: Raw = Raw()
    store: Raw = Raw()
    tool_choice: Raw = Raw()
    tools: Raw = Raw()
    top_logprobs: Raw = Raw()
    verbosity: Raw = Raw()
    web_search_options: Raw = Raw()

    @property
    def last_user_text(self) -> str:
        """The user's last text."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


_decoder: Final = msgspec.json.Decoder(ChatRequest)

_JSON_WORDS: Final = {
    "array": "an array",
    "bool": "a boolean",
    "float": "a decimal number",
    "int": "an integer",
    "null": "null",
    "object": "an object",
    "str": "a string",
}

# msgspec's words, then OpenAI's code and words.
_COMPLAINTS: Final = (
    (r"missing required field `(?P<name>\w+)`", "missing_required_parameter", "Missing required parameter: '{param}'."),
    (r"unknown field `(?P<name>\w+)`", "unknown_parameter", "Unknown parameter: '{param}'."),
    (
        r"Expected `array` of length >= 1",
        "empty_array",
        "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    (
        r"Expected `\w+` >= (?P<bound>[\d.]+)",
        "integer_below_min_value",
        "Invalid '{param}': value below minimum. Expected a value >= {bound}.",
    ),
    (
        r"Expected `\w+` <= (?P<bound>[\d.]+)",
        "integer_above_max_value",
        "Invalid '{param}': value above maximum. Expected a value <= {bound}.",
    ),
    (
        r"Invalid enum value '(?P<value>.*)'",
        "invalid_value",
        (
            "Invalid value: '{value}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
            "'developer'."
        ),
    ),
    (
        r"Expected `(?P<expected>\w+)[^`]*`, got `(?P<got>\w+)`",
        "invalid_type",
        "Invalid type for '{param}': expected {expected}, but got {got} instead.",
    ),
)


def parse(body: bytes) -> ChatRequest:
    """Decode and check a request's body.

    Raises:
        Refused: OpenAI would answer it with 400 or, where the model does not exist, 404.
    """
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(_complaint(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(
            ApiError(
                400,
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
                "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
            )
        ) from None
    _check(request)
    return request


def _check(request: ChatRequest) -> None:
    """Refuse what types cannot express."""
    if not request.model:
        raise Refused(ApiError(400, "you must provide a model parameter"))
    if request.model not in SNAPSHOTS:
        message = f"The model `{request.model}` does not exist or you do not have access to it."
        raise Refused(msgspec.structs.replace(ERRORS["model_not_found"], message=message))
    if request.stream_options is not None and not request.stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refused(ApiError(400, message, param="stream_options"))
    if request.max_tokens is not None and request.model.startswith("gpt-5"):
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        raise Refused(ApiError(400, message, code="unsupported_parameter", param="max_tokens"))


def _complaint(text: str) -> ApiError:
    """Say in OpenAI's words what msgspec found."""
    path = re.search(r" - at `\$\.?(.*)`$", text)
    where = path[1] if path else ""
    for pattern, code, words in _COMPLAINTS:
        found = re.search(pattern, text)
        if found is None:
            continue
        told: dict[str, Any] = {name: _JSON_WORDS.get(value, value) for name, value in found.groupdict().items()}
        param = ".".join(filter(None, (where, told.pop("name", ""))))
        return ApiError(400, words.format(param=param, **told), code=code, param=param or None)
    return ApiError(400, text)
