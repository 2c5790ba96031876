"""What Litestar's OpenAPI document lacks: closed objects, portable patterns, answers that are event streams."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, Reference, Schema
from litestar.params import BodyKwarg
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from msgspec import Struct

from b2b_chat.kit.text import portable

EVENT_STREAM = "text/event-stream"


def named(component: str) -> BodyKwarg:
    """Beside a type in `Annotated`: its name in the document, where a generic one would show its arguments' modules."""
    return BodyKwarg(schema_component_key=component)


class ExactStructs(OpenAPISchemaPlugin):
    r"""Describes Structs as msgspec decodes them.

    Litestar omits that one forbids unknown fields, and passes on Python's `\Z`, which other languages take for a
    letter.
    """

    def __init__(self) -> None:
        self.classes: dict[str, type] = {}
        """The Structs that were described, by the title of their schema."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Whether a field is of a Struct."""
        return not field_definition.is_union and field_definition.is_subclass_of(Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """Litestar's own description, made exact."""
        litestars = next(
            plugin
            for plugin in schema_creator.plugins
            if plugin is not self and schema_creator.plugin_supports_field(plugin, field_definition)
        )
        schema: Schema = litestars.to_openapi_schema(field_definition, schema_creator)
        described = field_definition.origin or field_definition.type_
        self.classes[str(schema.title or described.__name__)] = described
        if field_definition.type_.__struct_config__.forbid_unknown_fields:
            schema.additional_properties = False
        schema.properties = {name: _alone(part) for name, part in (schema.properties or {}).items()}
        for part in _parts(schema):
            if part.pattern is not None:
                part.pattern = portable(part.pattern)
        return schema


def _alone(part: Schema | Reference) -> Schema | Reference:
    """Return the one alternative of a field that may be unset, which Litestar describes as one of one."""
    if not isinstance(part, Schema) or part.one_of is None or len(part.one_of) != 1:
        return part
    (only,) = part.one_of
    if not isinstance(only, Schema):
        return only
    outside = {each.name: getattr(part, each.name) for each in fields(part) if each.name != "one_of"}
    return replace(only, **{name: value for name, value in outside.items() if value is not None})


def _parts(schema: Schema) -> Iterator[Schema]:
    for part in (*(schema.properties or {}).values(), *(schema.one_of or ())):
        if isinstance(part, Schema):
            yield part
            yield from _parts(part)


@dataclass
class EmptyOperation(Operation):
    """An operation that answers 204 and nothing else; of a handler that returns a `Response` Litestar says more."""

    def __post_init__(self) -> None:
        """Take the content away."""
        found: Any = self.responses
        found["204"].content = None


@dataclass
class KeyedExample(Example):
    """An example with a name. Litestar would repeat it inside, where OpenAPI knows no such field."""

    @property
    def _exclude_fields(self) -> set[str]:
        return {"id"}


class FailureExample(NamedTuple):
    """A way in which an operation can fail, as its document shows it."""

    status: int
    code: str
    description: str
    body: Any
    """What is answered, as plain values."""


def failures(body: type[Struct], examples: Iterable[FailureExample]) -> dict[int, ResponseSpec]:
    """Return the failures of an operation by status: one description each, and an example of each code."""
    by_status: defaultdict[int, dict[str, FailureExample]] = defaultdict(dict)
    for example in examples:
        by_status[example.status].setdefault(example.code, example)
    return {
        status: ResponseSpec(
            data_container=body,
            generate_examples=False,
            description=" ".join(f"`{each.code}`: {each.description}" for each in group.values()),
            examples=[KeyedExample(id=each.code, summary=each.code, value=each.body) for each in group.values()],
        )
        for status, group in sorted(by_status.items())
    }


def event_stream(component: str, *, example: str) -> OpenAPIMediaType:
    """An answer by server-sent events: the component that describes it, and how one looks."""
    return OpenAPIMediaType(
        schema=Reference(ref=f"#/components/schemas/{component}"),
        examples={"stream": Example(summary="A short answer", value=example)},
    )
