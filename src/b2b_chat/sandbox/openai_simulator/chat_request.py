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


class ImageUrl(Struct):
    """Where an image is; here only inside the request."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ContentPart(Struct):
    """A part of a message: a text, or an image."""

    type: str
    text: str = ""
    image_url: ImageUrl | None = None


class Message(Struct):
    """One message of the conversation."""

    role: _Role
    content: str | list[ContentPart] | None = None
    tool_calls: list[Any] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """Its text, whichever way it was given."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content or ())

    @property
    def images(self) -> list[ImageUrl]:
        """Its images."""
        parts = [] if self.content is None or isinstance(self.content, str) else self.content
        return [part.image_url for part in parts if part.type == "image_url" and part.image_url is not None]


class Function(Struct):
    """The function of a tool."""

    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Struct):
    """A tool that is offered."""

    type: Literal["function"]
    function: Function


class FunctionName(Struct):
    """A function's name."""

    name: str


class NamedToolChoice(Struct):
    """The tool that must be called."""

    type: Literal["function"]
    function: FunctionName


class NamedSchema(Struct):
    """A schema that the answer keeps to."""

    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(Struct):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


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
    parallel_tool_calls: bool | None = None
    prediction: Raw = Raw()
    presence_penalty: Raw = Raw()
    prompt_cache_key: Raw = Raw()
    prompt_cache_options: Raw = Raw()
    prompt_cache_retention: Raw = Raw()
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    response_format: ResponseFormat | None = None
    safety_identifier: Raw = Raw()
    seed: Raw = Raw()
    service_tier: Raw = Raw()
    stop: str | list[str] | None = None
    store: Raw = Raw()
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    top_logprobs: Raw = Raw()
    verbosity: Raw = Raw()
    web_search_options: Raw = Raw()

    @property
    def last_user_text(self) -> str:
        """The user's last text."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")


_IMAGE: Final = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")
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
        r"Expected `str` matching regex '(?P<pattern>[^']*)'",
        "invalid_value",
        "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '{pattern}'.",
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
    _check_reasoning(request)
    _check_messages(request)
    if request.max_tokens is not None and request.model.startswith("gpt-5"):
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        raise Refused(ApiError(400, message, code="unsupported_parameter", param="max_tokens"))


def _check_reasoning(request: ChatRequest) -> None:
    """Refuse sampling beside reasoning, as GPT-5.2 does."""
    if request.reasoning_effort in {None, "none"}:
        return
    for param in ("temperature", "top_p"):
        value = getattr(request, param)
        if value not in {None, 1}:
            message = (
                f"Unsupported value: '{param}' does not support {value} with this model. Only the default (1) value "
                "is supported."
            )
            raise Refused(ApiError(400, message, code="unsupported_value", param=param))


def _check_messages(request: ChatRequest) -> None:
    """Refuse images that are none, and results of tools that nobody called."""
    called: set[str] = set()
    for number, message in enumerate(request.messages):
        called |= {str(call.get("id")) for call in message.tool_calls or () if isinstance(call, dict)}
        if message.role == "tool" and message.tool_call_id not in called:
            told = (
                "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                "'tool_calls'."
            )
            raise Refused(ApiError(400, told, param=f"messages.[{number}].role"))
        for image in message.images:
            if not _IMAGE.fullmatch(image.url):
                told = "You uploaded an unsupported image. Please make sure your image is valid."
                raise Refused(ApiError(400, told, code="invalid_image_format", param=f"messages.[{number}].content"))
    form = request.response_format
    if form is not None and form.type == "json_schema" and form.json_schema is None:
        told = "Missing required parameter: 'response_format.json_schema'."
        raise Refused(ApiError(400, told, code="missing_required_parameter", param="response_format.json_schema"))


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
