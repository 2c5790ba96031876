"""Operations: a summary of their own, described parameters, headers, an example of the request, and samples."""

import re
from collections.abc import Iterator
from typing import Any, Final

from b2b_chat.kit.api_document.examples import Examples
from b2b_chat.kit.api_document.samples import Call, samples_of
from b2b_chat.kit.api_document.schemas import finish_property
from b2b_chat.kit.api_document.words import Words

Schema = dict[str, Any]
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
JSON: Final = "application/json"
_ACRONYMS: Final = {"api": "API", "id": "id"}
_DEFAULT_PHRASES: Final = (
    "Request fulfilled, document follows",
    "Request fulfilled, nothing follows",
    "Document created, URL follows",
    "Request accepted, processing continues off-line",
)
_FAILED: Final = 400
_TO_ALL: Final = "X-Request-ID"
_TO_WAIT: Final = "Retry-After"


def operations_of(document: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Yield each operation with its path and method."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def finish_operations(document: Schema, words: Words, server: str) -> None:
    """Finish every operation of a document."""
    examples = Examples(document["components"]["schemas"], words)
    document["components"]["headers"] = {
        name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in words.headers.items()
    }
    for path, method, operation in operations_of(document):
        operation["summary"] = summary_of(operation["operationId"])
        for parameter in operation.get("parameters", ()):
            _finish_parameter(parameter, words)
        _finish_answers(operation, document, words)
        for answer in operation["responses"].values():
            for content in answer.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    examples.add_nulls(example["value"], content["schema"])
        body, body_type = _finish_body(operation, examples)
        call = _call(path, method, operation, examples, server)._replace(body=body, body_type=body_type)
        takes_key = words.key_variable is not None and operation.get("security") != [{}]
        if words.key_variable is not None:
            call = call._replace(key_variable=words.key_variable if takes_key else None)
            operation["x-codeSamples"] = samples_of(call)


def summary_of(operation_id: str) -> str:
    """Return `listApiKeys` as `List API keys`."""
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", operation_id)
    plain = [_ACRONYMS.get(word.lower(), word.lower()) for word in words]
    return " ".join([plain[0].capitalize(), *plain[1:]])


def _finish_parameter(parameter: Schema, words: Words) -> None:
    """Describe a parameter. One that may be left out is never null: a query has no such thing."""
    schema = parameter["schema"]
    arms = [arm for arm in schema.get("oneOf", ()) if arm != {"type": "null"}]
    if len(arms) == 1:
        del schema["oneOf"]
        schema.update({**arms[0], **schema})
    finish_property(parameter["name"], schema, words)
    meaning = schema.pop("description", "")
    if not parameter.get("description") and meaning:
        parameter["description"] = meaning
    if schema.get("default") in {None, ""}:
        schema.pop("default", None)


def _finish_answers(operation: Schema, document: Schema, words: Words) -> None:
    codes = set()
    for status, answer in operation["responses"].items():
        names = [_TO_ALL, *([_TO_WAIT] if status in words.statuses_to_wait else ())]
        answer["headers"] = {
            **{name: {"$ref": f"#/components/headers/{name}"} for name in names if name in words.headers},
            **answer.get("headers", {}),
        }
        if answer.get("description") in _DEFAULT_PHRASES:
            answer["description"] = _meaning_of(answer, document)
        if int(status) >= _FAILED:
            for content in answer.get("content", {}).values():
                codes |= set(content.get("examples", ()))
    operation["x-error-codes"] = sorted(codes)


def _meaning_of(answer: Schema, document: Schema) -> str:
    """Return what an answer is, by its schema."""
    content = answer.get("content", {}).get(JSON)
    if content is None:
        return "Done." if not answer.get("content") else "The answer."
    schema = content["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return (schema.get("description") or "The answer.").partition("\n\n")[0]


def _finish_body(operation: Schema, examples: Examples) -> tuple[Any, str]:
    """Give the body an example where it has none, and return the example."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if not content.get("examples"):
            value = examples.of("", content["schema"])
            content["examples"] = {"example": {"summary": operation["summary"], "value": value}}
        return next(iter(content["examples"].values()))["value"], kind
    return None, JSON


def _call(path: str, method: str, operation: Schema, examples: Examples, server: str) -> Call:
    query = {}
    for parameter in operation.get("parameters", ()):
        value = examples.of(parameter["name"], parameter["schema"])
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(value))
        elif parameter["in"] == "query" and parameter.get("required"):
            query[parameter["name"]] = value
    succeeded: Schema = next((answer for status, answer in operation["responses"].items() if status < "3"), {})
    return Call(
        method.upper(), server.rstrip("/") + path, query, None, JSON, None, JSON in succeeded.get("content", {})
    )
