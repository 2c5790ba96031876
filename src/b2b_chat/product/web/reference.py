"""The API's reference as a page shows it: the OpenAPI document as sections, operations, fields and codes."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

Document = dict[str, Any]
_METHODS: Final = ("get", "put", "post", "patch", "delete")
_NOT_FOR_CUSTOMERS: Final = frozenset({"operators"})
_FAILED: Final = 400


class Field(Struct, frozen=True):
    """A parameter, or a field of a body."""

    name: str
    place: str
    """`path`, `query`, `header`, or `body`."""
    kind: str
    is_required: bool
    meaning: str


class Operation(Struct, frozen=True):
    """One operation."""

    id: str
    summary: str
    method: str
    path: str
    description: str
    is_deprecated: bool
    takes: list[Field]
    gives: list[Field]
    answers: list[tuple[str, str]]
    """Status and meaning of each answer that is no failure."""
    codes: list[str]
    samples: list[tuple[str, str]]
    """A language's name, and the code."""


class Section(Struct, frozen=True):
    """The operations of a tag."""

    name: str
    description: str
    operations: list[Operation]


class ErrorCode(Struct, frozen=True):
    """A way to fail."""

    code: str
    status: int
    is_retryable: bool
    meaning: str


class Reference(Struct, frozen=True):
    """All that the page shows."""

    version: str
    server: str
    sections: list[Section]
    codes: list[ErrorCode]


def for_customers(document: Document) -> Document:
    """Return the document without what is for operators alone, and without components that only these need."""
    paths = {}
    for path, item in document["paths"].items():
        kept = {name: part for name, part in item.items() if not _NOT_FOR_CUSTOMERS & set(_tags(part))}
        if kept:
            paths[path] = kept
    schemas: dict[str, Document] = document["components"]["schemas"]
    needed: set[str] = set()
    waiting = [*_references(paths)]
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in needed:
            needed.add(name)
            waiting += _references(schemas[name])
    kept_schemas = {name: schema for name, schema in schemas.items() if name in needed}
    tags = [tag for tag in document["tags"] if tag["name"] not in _NOT_FOR_CUSTOMERS]
    return {**document, "paths": paths, "tags": tags, "components": {**document["components"], "schemas": kept_schemas}}


def reference_of(document: Document) -> Reference:
    """Return a document as the page shows it."""
    schemas = document["components"]["schemas"]
    by_tag: dict[str, list[Operation]] = {}
    codes: dict[str, ErrorCode] = {}
    for path, item in sorted(document["paths"].items()):
        for method in _METHODS:
            if method in item:
                by_tag.setdefault(_tags(item[method])[0], []).append(_operation(path, method, item[method], schemas))
                codes |= {each.code: each for each in _codes(item[method])}
    sections = [Section(tag["name"], tag["description"], by_tag[tag["name"]]) for tag in document["tags"]]
    sections.sort(key=lambda section: section.name != "chat")
    return Reference(
        document["info"]["version"],
        document["servers"][0]["url"],
        sections,
        [codes[code] for code in sorted(codes)],
    )


def _tags(part: Any) -> list[str]:
    return part.get("tags", []) if isinstance(part, dict) else []


def _operation(path: str, method: str, operation: Document, schemas: Document) -> Operation:
    takes = [
        Field(
            parameter["name"],
            parameter["in"],
            _kind(parameter["schema"]),
            bool(parameter.get("required")),
            parameter["description"],
        )
        for parameter in operation.get("parameters", ())
    ]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        takes += _fields(content["schema"], schemas)
    good = {status: answer for status, answer in operation["responses"].items() if int(status) < _FAILED}
    gives = next((_fields(schema, schemas) for answer in good.values() for schema in _json_of(answer)), [])
    return Operation(
        id=operation["operationId"],
        summary=operation["summary"],
        method=method.upper(),
        path=path,
        description=operation["description"],
        is_deprecated=bool(operation.get("deprecated")),
        takes=takes,
        gives=gives,
        answers=[(status, answer["description"]) for status, answer in sorted(good.items())],
        codes=operation["x-error-codes"],
        samples=[(sample["label"], sample["source"]) for sample in operation["x-codeSamples"]],
    )


def _json_of(answer: Document) -> Iterator[Document]:
    for kind, content in answer.get("content", {}).items():
        if kind == "application/json":
            yield content["schema"]


def _fields(schema: Document, schemas: Document) -> list[Field]:
    if "$ref" in schema:
        schema = schemas[_name(schema)]
    required = set(schema.get("required", ()))
    return [
        Field(name, "body", _kind(part), name in required, _meaning(part, schemas))
        for name, part in schema.get("properties", {}).items()
    ]


def _meaning(part: Document, schemas: Document) -> str:
    if part.get("description"):
        return str(part["description"])
    return str(schemas[_name(part)].get("description", "")).partition("\n\n")[0] if "$ref" in part else ""


def _kind(schema: Document) -> str:
    """Return a type in a few words, as `string (uuid)` or `list of Message`."""
    if "$ref" in schema:
        return _name(schema)
    arms = schema.get("oneOf") or schema.get("anyOf")
    if arms and "properties" not in schema:
        return " | ".join(dict.fromkeys(_kind(arm) for arm in arms))
    if "const" in schema or "enum" in schema:
        return " | ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"[{_kind(schema.get('items', {}))}]"
    name = schema.get("type", "any")
    name = " | ".join(name) if isinstance(name, list) else str(name)
    return f"{name} ({schema['format']})" if "format" in schema else name


def _name(schema: Document) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for each in part:
            yield from _references(each)
    elif isinstance(part, dict):
        for name, each in part.items():
            if isinstance(each, str) and each.startswith("#/components/schemas/"):
                yield each.rpartition("/")[2]
            elif name not in {"examples", "example"}:
                yield from _references(each)


def _codes(operation: Document) -> Iterator[ErrorCode]:
    for status, answer in operation["responses"].items():
        for content in answer.get("content", {}).values() if int(status) >= _FAILED else ():
            for code, example in content.get("examples", {}).items():
                detail = example["value"].get("detail")
                if detail is not None:
                    yield ErrorCode(code, int(status), detail["retryable"], detail["message"])
