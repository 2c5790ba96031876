"""Requests to show: one example for each operation, made from its schema and the app's own values."""

from typing import Any, Final

from b2b_chat.kit.api_document.words import Words

Schema = dict[str, Any]
_BY_FORMAT: Final = {
    "uuid": "0198c0de-0000-7000-8000-000000000001",
    "date-time": "2026-12-01T12:00:00Z",
    "date": "2026-12-01",
    "decimal": "12.5",
}
_BY_TYPE: Final = {"integer": 1, "number": 1.0, "boolean": True, "string": "text", "object": {}, "null": None}


class Examples:
    """Values that schemas allow."""

    def __init__(self, components: dict[str, Schema], words: Words) -> None:
        self._components = components
        self._words = words

    def of(self, name: str, schema: Schema) -> Any:
        """Return a value for a field, parameter or body of this name."""
        schema = self._resolved(schema)
        if schema.get("examples"):
            return schema["examples"][0]
        if name in self._words.examples:
            return self._words.examples[name]
        for word in ("const", "default"):
            if word in schema:
                return schema[word]
        if schema.get("enum"):
            return schema["enum"][0]
        if "properties" in schema:
            return self._object(schema)
        arms = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf")
        if arms:
            return self.of(name, arms[0])
        kind = schema.get("type", "string")
        if kind == "array":
            return [self.of("", schema["items"])]
        return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE[kind if isinstance(kind, str) else kind[0]])

    def add_nulls(self, value: Any, schema: Schema) -> None:
        """Add to an example the fields that it must have and that are null: Litestar writes no null."""
        schema = self._resolved(schema)
        for name, part in schema.get("properties", {}).items() if isinstance(value, dict) else ():
            if name in value:
                self.add_nulls(value[name], part)
            elif name in schema.get("required", ()) and {"type": "null"} in self._resolved(part).get("oneOf", ()):
                value[name] = None

    def _object(self, schema: Schema) -> dict[str, Any]:
        """Return an object with what it must have; where it offers alternatives, with what the first of them must."""
        first: Schema = next(iter(schema.get("oneOf", ())), {})
        wanted = {*schema.get("required", ()), *first.get("required", ())}
        return {name: self.of(name, part) for name, part in schema["properties"].items() if name in wanted}

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._components[schema["$ref"].rpartition("/")[2]]
        return schema
