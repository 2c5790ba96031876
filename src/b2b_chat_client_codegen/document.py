"""What the generator reads of an OpenAPI document: types by name, and operations.

It is lenient: what it does not understand becomes `Unknown`, which each language has a word for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

_MONEY_SUFFIX: Final = "_credits"
_FORMATS: Final = {"uuid": "uuid", "date-time": "datetime", "date": "date", "decimal": "decimal"}
_SCALARS: Final = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}
_METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Scalar:
    """One value: `string`, `integer`, `number`, `boolean`, `uuid`, `datetime`, `date` or `decimal`."""

    kind: str


@dataclass(frozen=True)
class Choice:
    """One of some texts."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Named:
    """A type that has a name."""

    name: str


@dataclass(frozen=True)
class ListOf:
    """A list."""

    item: "Type"


@dataclass(frozen=True)
class MapOf:
    """An object with any names."""

    value: "Type"


@dataclass(frozen=True)
class Unknown:
    """Anything."""


Type: TypeAlias = Scalar | Choice | Named | ListOf | MapOf | Unknown


@dataclass(frozen=True)
class Property:
    """A property of an object, or a parameter of an operation."""

    name: str
    type: Type
    is_required: bool
    is_nullable: bool
    description: str


@dataclass(frozen=True)
class Object:
    """An object with known names."""

    name: str
    description: str
    properties: tuple[Property, ...]


@dataclass(frozen=True)
class Alias:
    """A name for a type that is no object."""

    name: str
    description: str
    type: Type


@dataclass(frozen=True)
class Operation:
    """An operation that answers JSON, text, or nothing."""

    id: str
    method: str
    path: str
    description: str
    path_parameters: tuple[Property, ...]
    query: tuple[Property, ...]
    body: tuple[Property, ...] | None
    """What its body may hold; None where it takes none."""
    result: Type | None
    """None where it answers nothing."""
    is_page: bool
    """Whether `result` is the type of a page's items."""
    takes_idempotency_key: bool


class Document:
    """An OpenAPI document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._schemas: Mapping[str, Any] = document.get("components", {}).get("schemas", {})

    def types(self) -> list[Object | Alias]:
        """Return the types that have names, pages left out."""
        return [self._named(name, schema) for name, schema in sorted(self._schemas.items()) if not _is_page(schema)]

    def operations(self) -> list[Operation]:
        """Return the operations, by path and method."""
        return [
            operation
            for path, item in sorted(self._document["paths"].items())
            for method in _METHODS
            if method in item and (operation := self._operation(path, method, item[method])) is not None
        ]

    def _named(self, name: str, schema: Mapping[str, Any]) -> Object | Alias:
        described = _sentence(schema.get("description", ""))
        if isinstance(schema.get("properties"), Mapping):
            return Object(name, described, self._properties(schema))
        return Alias(name, described, self._type("", schema))

    def _properties(self, schema: Mapping[str, Any]) -> tuple[Property, ...]:
        required = set(schema.get("required", ()))
        return tuple(
            self._property(name, part, is_required=name in required) for name, part in schema["properties"].items()
        )

    def _property(self, name: str, schema: Mapping[str, Any], *, is_required: bool) -> Property:
        inner, is_nullable = _without_null(schema)
        described = _sentence(schema.get("description", ""))
        return Property(name, self._type(name, inner), is_required, is_nullable, described)

    def _type(self, name: str, schema: Mapping[str, Any]) -> Type:
        schema, _ = _without_null(schema)
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        arms = [*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())]
        if len(arms) == 1:
            return self._type(name, arms[0])
        values = schema.get("enum", [schema["const"]] if "const" in schema else [])
        if values and all(isinstance(value, str) for value in values):
            return Choice(tuple(values))
        match schema.get("type"):
            case "array":
                return ListOf(self._type("", schema.get("items", {})))
            case "object":
                values = schema.get("additionalProperties")
                return MapOf(self._type("", values) if isinstance(values, Mapping) else Unknown())
            case "string" if name.endswith(_MONEY_SUFFIX):
                return Scalar("decimal")
            case str(kind) if kind in _SCALARS:
                return Scalar(_FORMATS.get(schema.get("format", ""), _SCALARS[kind]))
        return Unknown()

    def _reference(self, reference: str) -> Type:
        name = reference.rpartition("/")[2]
        return Named(name) if name in self._schemas else Unknown()

    def _operation(self, path: str, method: str, item: Mapping[str, Any]) -> Operation | None:
        answered = _success(item.get("responses", {}))
        if "operationId" not in item or answered is None:
            return None
        result, is_page = self._result(answered)
        parameters = [self._resolved(each) for each in item.get("parameters", ())]
        in_path = [
            each for word in path.split("/") for each in parameters if each["in"] == "path" and word == _placed(each)
        ]
        return Operation(
            id=item["operationId"],
            method=method.upper(),
            path=path,
            description=_sentence(item.get("description") or item.get("summary") or ""),
            path_parameters=tuple(self._parameter(each) for each in in_path),
            query=tuple(self._parameter(each) for each in parameters if each["in"] == "query"),
            body=self._body(item),
            result=result,
            is_page=is_page,
            takes_idempotency_key=any(each["name"].lower() == "idempotency-key" for each in parameters),
        )

    def _resolved(self, parameter: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in parameter:
            return parameter
        found: Mapping[str, Any] = self._document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        return found

    def _parameter(self, parameter: Mapping[str, Any]) -> Property:
        schema = {"description": parameter.get("description", ""), **parameter.get("schema", {})}
        return self._property(parameter["name"], schema, is_required=bool(parameter.get("required")))

    def _body(self, item: Mapping[str, Any]) -> tuple[Property, ...] | None:
        schema = item.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return None
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return self._properties(schema) if isinstance(schema.get("properties"), Mapping) else ()

    def _result(self, answered: Mapping[str, Any]) -> tuple[Type | None, bool]:
        content = answered.get("content") or {}
        if "application/json" not in content:
            return (Scalar("string") if content else None), False
        schema = content["application/json"].get("schema", {})
        named = self._schemas.get(schema.get("$ref", "").rpartition("/")[2], {})
        if _is_page(named):
            return self._type("", named["properties"]["items"]["items"]), True
        return self._type("", schema), False


def _success(responses: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the answer of an operation that succeeds: the one with a content, where there is one."""
    found: Sequence[Mapping[str, Any]] = [answer for status, answer in sorted(responses.items()) if status < "3"]
    return next((answer for answer in found if answer.get("content")), found[0] if found else None)


def _placed(parameter: Mapping[str, Any]) -> str:
    return f"{{{parameter['name']}}}"


def _is_page(schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties") or {}
    return set(properties) == {"items", "next_cursor"} and "items" in properties["items"]


def _without_null(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return a schema without the null that it allows, and whether it does."""
    for word in ("oneOf", "anyOf"):
        arms = [arm for arm in schema.get(word, ()) if arm.get("type") != "null"]
        if arms and len(arms) < len(schema[word]):
            rest = {name: value for name, value in schema.items() if name != word}
            return ({**rest, **arms[0]} if len(arms) == 1 else {**rest, word: arms}), True
    kinds = schema.get("type")
    if isinstance(kinds, list) and "null" in kinds:
        rest = {**schema, "type": next(kind for kind in kinds if kind != "null")}
        if "enum" in rest:
            rest["enum"] = [value for value in rest["enum"] if value is not None]
        return rest, True
    return schema, False


def _sentence(text: str) -> str:
    """Return the first paragraph on one line."""
    return " ".join(text.partition("\n\n")[0].split())
