"""What of a document's changes breaks a client that was written for the document before."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from support.api_documents import METHODS

Document = dict[str, Any]


def bare(document: Document) -> Document:
    """Return what a client depends on: no words, examples and samples."""
    return {
        "paths": {
            path: {method: _bare_operation(operation) for method, operation in item.items() if method in METHODS}
            for path, item in document["paths"].items()
        },
        "schemas": {name: _bare_schema(schema) for name, schema in document["components"]["schemas"].items()},
    }


def _bare_operation(operation: Document) -> Document:
    contents = {
        status: {kind: _bare_schema(content["schema"]) for kind, content in answer.get("content", {}).items()}
        for status, answer in operation["responses"].items()
        if status < "3"
    }
    body = operation.get("requestBody", {}).get("content", {})
    return {
        "operationId": operation["operationId"],
        "parameters": {
            f"{each['in']} {each['name']}": {"required": each.get("required", False), **_bare_schema(each["schema"])}
            for each in operation.get("parameters", ())
        },
        "body": {kind: _bare_schema(content["schema"]) for kind, content in body.items()},
        "answers": contents,
    }


def _bare_schema(schema: Document) -> Document:
    found: Document = {
        name: schema[name] for name in ("$ref", "type", "format", "const", "enum", "required") if name in schema
    }
    for word in ("oneOf", "anyOf", "allOf"):
        if word in schema:
            found[word] = [_bare_schema(each) for each in schema[word]]
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            found[word] = _bare_schema(schema[word])
    if "properties" in schema:
        found["properties"] = {name: _bare_schema(each) for name, each in schema["properties"].items()}
    return found


def breaking(before: Document, after: Document) -> list[str]:
    """Return every change between two bare documents that may break a client."""
    return [*_operations(before, after), *_schemas(before, after)]


def _operations(before: Document, after: Document) -> Iterator[str]:
    for path, item in before["paths"].items():
        for method, old in item.items():
            new = after["paths"].get(path, {}).get(method)
            where = f"{method.upper()} {path}"
            if new is None:
                yield f"{where}: the operation is gone"
                continue
            if new["operationId"] != old["operationId"]:
                yield f"{where}: operationId {old['operationId']} is {new['operationId']} now"
            yield from _parameters(where, old["parameters"], new["parameters"])
            for part in ("body", "answers"):
                yield from _contents(f"{where}: {part}", old[part], new[part])
            if new["body"] and not old["body"]:
                yield f"{where}: a body is required"


def _parameters(where: str, old: Document, new: Document) -> Iterator[str]:
    for name, parameter in old.items():
        if name not in new:
            yield f"{where}: parameter {name} is gone"
        else:
            yield from _values(f"{where}: parameter {name}", parameter, new[name])
            if new[name]["required"] and not parameter["required"]:
                yield f"{where}: parameter {name} is required now"
    for name in new.keys() - old.keys():
        if new[name]["required"]:
            yield f"{where}: parameter {name} is new and required"


def _contents(where: str, old: Document, new: Document) -> Iterator[str]:
    for name, content in old.items():
        if name not in new:
            yield f"{where}: {name} is gone"
        elif "$ref" in content and content["$ref"] != new[name].get("$ref"):
            yield f"{where}: {name} is {new[name].get('$ref')} instead of {content['$ref']}"
        elif "$ref" not in content and name.isdigit():
            yield from _contents(f"{where} {name}", content, new[name])


def _schemas(before: Document, after: Document) -> Iterator[str]:
    taken = _taken(after)
    for name, old in before["schemas"].items():
        new = after["schemas"].get(name)
        if new is None:
            yield f"{name}: the schema is gone"
            continue
        yield from _values(name, old, new)
        for field, part in old.get("properties", {}).items():
            if field not in new.get("properties", {}):
                yield f"{name}.{field}: the field is gone"
            else:
                yield from _values(f"{name}.{field}", part, new["properties"][field])
        before_required, after_required = set(old.get("required", ())), set(new.get("required", ()))
        if name in taken:
            yield from (f"{name}.{field}: required now" for field in sorted(after_required - before_required))
        else:
            yield from (f"{name}.{field}: may be missing now" for field in sorted(before_required - after_required))


def _values(where: str, old: Document, new: Document) -> Iterator[str]:
    for word in ("type", "format", "const", "$ref"):
        if word in old and old[word] != new.get(word):
            yield f"{where}: {word} is {new.get(word)} instead of {old[word]}"
    for value in old.get("enum", ()):
        if value not in new.get("enum", (value,)):
            yield f"{where}: {value} is gone"


def _taken(document: Document) -> set[str]:
    """Return the names of the schemas that requests have."""
    found: set[str] = set()
    waiting = [
        content
        for item in document["paths"].values()
        for operation in item.values()
        for content in operation["body"].values()
    ]
    while waiting:
        part = waiting.pop()
        name = part.get("$ref", "").rpartition("/")[2]
        if name and name not in found:
            found.add(name)
            waiting.append(document["schemas"].get(name, {}))
        waiting += [
            *part.get("properties", {}).values(),
            *part.get("oneOf", ()),
            *part.get("anyOf", ()),
            *part.get("allOf", ()),
        ]
        waiting += [part[word] for word in ("items", "additionalProperties") if word in part]
    return found


if __name__ == "__main__":
    json.dump(bare(json.load(sys.stdin)), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
