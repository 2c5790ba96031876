"""The simplest value that keeps to a JSON schema: what the simulator's calls and structured answers hold."""

from typing import Any, Final

_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "simulated@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEEPEST: Final = 12
"""A schema may contain itself; below this, lists are empty and what may be null is."""


def example(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """Return a value of a schema; `root` has the definitions that it refers to."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        return example(_referred(schema["$ref"], root), root, depth + 1)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    for choices in ("enum", "examples"):
        if schema.get(choices):
            return schema[choices][0]
    for choices in ("anyOf", "oneOf", "allOf"):
        if schema.get(choices):
            options = schema[choices]
            last = depth > _DEEPEST and {"type": "null"} in options
            return None if last else example(options[0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_kind(kind[0] if isinstance(kind, list) else kind, schema, root, depth)


def _of_kind(kind: str, schema: dict[str, Any], root: Any, depth: int) -> Any:
    if kind == "object":
        return {name: example(each, root, depth + 1) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        count = 0 if depth > _DEEPEST else max(schema.get("minItems", 1), 0)
        return [example(schema.get("items", {"type": "string"}), root, depth + 1)] * count
    if kind in {"integer", "number"}:
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
        return min(max(least, 1), schema.get("maximum", max(least, 1)))
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    text = _FORMATS.get(schema.get("format", ""), "simulated")
    return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _referred(reference: str, root: Any) -> Any:
    found = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
    return found
