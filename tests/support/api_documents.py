"""What holds for the OpenAPI document of either app: walks over all of it, whose findings say what to do."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


def operations_of(document: Document) -> Iterator[tuple[str, Document]]:
    """Yield each operation by its `METHOD /path`."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def for_schemathesis(document: Document) -> Document:
    """Return a document as schemathesis reads it: the schema of a stream is that of each event."""
    copy: Document = json.loads(json.dumps(document))
    for _, operation in operations_of(copy):
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                content["schema"] = content.pop("x-itemSchema", content["schema"])
    return copy


def undescribed(document: Document) -> list[str]:
    """Return every part without a description, with what to do about it."""
    return [*_schemas(document), *_operations(document), *_tags(document)]


def _schemas(document: Document) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        if not schema.get("description"):
            yield f"schema {name}: give the class a docstring"
        for field, part in schema.get("properties", {}).items():
            if not part.get("description") and "$ref" not in part:
                yield f"{name}.{field}: write a docstring below the field, or a line in api_words.py"


def _operations(document: Document) -> Iterator[str]:
    for where, operation in operations_of(document):
        if not operation.get("description"):
            yield f"{where}: give the handler a docstring"
        for parameter in operation.get("parameters", ()):
            if not parameter.get("description"):
                yield f"{where}: {parameter['name']}: give it QueryParameter(description=), or a line in api_words.py"
        for status, answer in operation["responses"].items():
            if not answer.get("description") or "Request fulfilled" in answer["description"]:
                yield f"{where}: {status}: give the handler response_description="


def _tags(document: Document) -> Iterator[str]:
    for tag in document["tags"]:
        if not tag["description"]:
            yield f"tag {tag['name']}: describe it in api_words.py"


def misshaped(document: Document) -> list[str]:
    """Return what generators stumble over."""
    return [*_misshaped_names(document), *_misshaped_parameters(document)]


def _misshaped_names(document: Document) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        if "title" in schema:
            yield f"{name} is also called {schema['title']}"
        for field, part in schema.get("properties", {}).items():
            if "default" in part:
                yield f"{name}.{field}: with a default openapi-typescript requires it"
            if None in part.get("enum", ()):
                yield f"{name}.{field}: null among texts"
    summaries = Counter(operation["summary"] for _, operation in operations_of(document))
    yield from (f"{count} operations are called {summary}" for summary, count in summaries.items() if count > 1)


def _misshaped_parameters(document: Document) -> Iterator[str]:
    for where, operation in operations_of(document):
        for parameter in operation.get("parameters", ()):
            if {"type": "null"} in parameter["schema"].get("oneOf", ()):
                yield f"{where}: {parameter['name']} may be null, which nothing can send"
        for status, answer in operation["responses"].items():
            if "X-Request-ID" not in answer["headers"]:
                yield f"{where}: {status} has no X-Request-ID"
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if not content.get("examples"):
                yield f"{where}: {kind} has no example"


def refers_to(part: Any) -> set[str]:
    """Return the names of the components that a part refers to."""
    if isinstance(part, list):
        return {name for each in part for name in refers_to(each)}
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"].rpartition("/")[2]} if isinstance(part.get("$ref"), str) else set()
    return own | {name for each in part.values() for name in refers_to(each)}
