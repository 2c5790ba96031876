"""The options of a completion. Each is omitted from the bodies where it is unset, and then OpenAI's default holds."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.contract.content import FunctionName

Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]
StopText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1000)]
JsonSchema: TypeAlias = dict[str, Any]
"""A JSON schema: its keys and names cross as they are, the texts that describe it are masked."""


class TextFormat(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """Plain text, which is what the model writes anyway."""


class JsonObjectFormat(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_object"):
    """A text that is a JSON object."""


class NamedSchema(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A schema that an answer keeps to."""

    name: FunctionName
    description: str | UnsetType = UNSET
    schema: JsonSchema | UnsetType = UNSET
    strict: bool | UnsetType | None = UNSET


class JsonSchemaFormat(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="json_schema"):
    """A text that is JSON of a given schema."""

    json_schema: NamedSchema


ResponseFormat: TypeAlias = TextFormat | JsonObjectFormat | JsonSchemaFormat


class FunctionDefinition(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a tool is called, what it does, and the schema of its arguments."""

    name: FunctionName
    description: str | UnsetType = UNSET
    parameters: JsonSchema | UnsetType = UNSET
    strict: bool | UnsetType | None = UNSET


class Tool(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the model may call."""

    function: FunctionDefinition
    type: Literal["function"] = "function"


class NamedFunction(Struct, frozen=True, forbid_unknown_fields=True):
    """The name of a tool."""

    name: FunctionName


class NamedToolChoice(Struct, frozen=True, forbid_unknown_fields=True):
    """The one tool that must be called."""

    function: NamedFunction
    type: Literal["function"] = "function"


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | NamedToolChoice


class ChatOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may be asked for beside the messages.

    The ranges are those of OpenAI's reference; whether the model takes an option at all is for OpenAI to say
    (`upstream_rejected`, with `param`).
    """

    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    frequency_penalty: Penalty | UnsetType = UNSET
    presence_penalty: Penalty | UnsetType = UNSET
    stop: StopText | Annotated[list[StopText], Meta(min_length=1, max_length=4)] | UnsetType = UNSET
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | UnsetType = UNSET
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | UnsetType = UNSET
    verbosity: Literal["low", "medium", "high"] | UnsetType = UNSET
    response_format: ResponseFormat | UnsetType = UNSET
    tools: Annotated[list[Tool], Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET

    @property
    def definitions(self) -> list[Any]:
        """What has tokens beside the messages: the tools, and the form of the answer."""
        return [each for each in (self.tools, self.response_format) if each is not UNSET]


OPTION_NAMES: Final = ChatOptions.__struct_fields__
"""The fields of a request that are options."""


def options_of(request: ChatOptions) -> dict[str, Any]:
    """Return the options that are set in a request, by name."""
    return {name: value for name in OPTION_NAMES if (value := getattr(request, name)) is not UNSET}
