"""Schemas as generators can read them: no titles of generic types, no null in an enumeration, whole numbers whole."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from b2b_chat.kit.api_document.docstrings import meanings_of_fields
from b2b_chat.kit.api_document.words import Words

Schema = dict[str, Any]
_MONEY: Final = "_credits"
_LARGEST: Final = 2**63 - 1


def finish_components(document: Schema, classes: Mapping[str, type], words: Words) -> None:
    """Describe the components and their properties, and give shared texts components of their own."""
    components: dict[str, Schema] = document["components"]["schemas"]
    for name, schema in components.items():
        described = classes.get(schema.pop("title", name)) or classes.get(name)
        if described is not None:
            _describe(schema, described)
        for field, part in schema.get("properties", {}).items():
            finish_property(field, part, words)
            if field not in schema.get("required", ()):
                _say_default(part)
    for part in schemas_in(document):
        _simplify(part)
    _name_enumerations(document, words)


def finish_property(name: str, part: Schema, words: Words) -> None:
    """Give a property or parameter the app's own words where it has none, and money its format."""
    if not part.get("description") and name in words.fields:
        part["description"] = words.fields[name]
    if name.endswith(_MONEY):
        for each in (part, *part.get("oneOf", ())):
            if each.get("type") == "string":
                each["format"] = "decimal"


def schemas_in(part: Any) -> Iterator[Schema]:
    """Yield every object in a part of the document but the values of examples."""
    if isinstance(part, list):
        for each in part:
            yield from schemas_in(each)
    elif isinstance(part, dict):
        yield part
        for name, each in part.items():
            if name not in {"example", "examples", "default"}:
                yield from schemas_in(each)


def _describe(schema: Schema, described: type) -> None:
    docstring = (described.__doc__ or "").strip()
    if docstring:
        schema.setdefault("description", "\n\n".join(" ".join(part.split()) for part in docstring.split("\n\n")))
    for name, meaning in meanings_of_fields(described).items():
        part = schema.get("properties", {}).get(name)
        if part is not None:
            part.setdefault("description", meaning)


def _say_default(part: Schema) -> None:
    """Move a default into the words: openapi-typescript takes a field with one for a required field."""
    if "default" in part and part["default"] is not None:
        shown = str(part["default"]).lower() if isinstance(part["default"], bool) else part["default"]
        part["description"] = f"{part.get('description', '')} `{shown}` unless given.".strip()
    part.pop("default", None)


def _simplify(part: Schema) -> None:
    kinds = part.get("type")
    if isinstance(kinds, list) and "null" in kinds and "enum" in part:
        (kind,) = (each for each in kinds if each != "null")
        values = [value for value in part.pop("enum") if value is not None]
        del part["type"]
        part["oneOf"] = [{"type": kind, "enum": values}, {"type": "null"}]
    for arm_word in ("oneOf", "allOf"):
        if len(part.get(arm_word, ())) == 1 and "properties" not in part:
            (only,) = part.pop(arm_word)
            part.update({**only, **part})
    for bound in ("minimum", "maximum"):
        if isinstance(part.get(bound), float) and part[bound].is_integer():
            part[bound] = min(int(part[bound]), _LARGEST)


def _name_enumerations(document: Schema, words: Words) -> None:
    """Replace each enumeration of these very texts by a reference to the one component."""
    named = {frozenset(texts): name for name, (_, texts) in words.enumerations.items()}
    found = set()
    for part in list(schemas_in(document)):
        name = named.get(frozenset(part["enum"])) if _is_texts(part) else None
        if name is not None:
            found.add(name)
            del part["enum"], part["type"]
            part["$ref"] = f"#/components/schemas/{name}"
    components = document["components"]["schemas"]
    for name in sorted(found - set(components)):
        meaning, texts = words.enumerations[name]
        components[name] = {"type": "string", "enum": list(texts), "description": meaning}


def _is_texts(part: Schema) -> bool:
    return part.get("type") == "string" and isinstance(part.get("enum"), list)
