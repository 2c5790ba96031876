"""Answers by server-sent events: a text for generators, and a component for each event for people and typed clients."""

from typing import Any, Final

import msgspec

from b2b_chat.kit.api_document.schemas import schemas_in
from b2b_chat.kit.api_document.words import Stream

Schema = dict[str, Any]
_REF: Final = "#/components/schemas/"


def add_stream(document: Schema, stream: Stream) -> dict[str, type]:
    """Add the components of a stream, and return the Structs among them.

    OpenAPI 3.2 calls the schema of one event `itemSchema`; what reads 3.1 refuses that name, so it is `x-itemSchema`.
    """
    components: dict[str, Schema] = document["components"]["schemas"]
    _, described = msgspec.json.schema_components(stream.events.values(), ref_template=_REF + "{name}")
    for name, schema in described.items():
        components.setdefault(name, schema)
    arms = {event: stream.prefix + event.title().replace("_", "") + "Event" for event in stream.events}
    for event, data in stream.events.items():
        components[arms[event]] = _event(event, data)
    item = f"{stream.prefix}StreamEvent"
    components[item] = {
        "description": "One event of the stream, told apart by `event`.",
        "oneOf": [{"$ref": _REF + arm} for arm in arms.values()],
        "discriminator": {
            "propertyName": "event",
            "mapping": {event: _REF + arm for event, arm in arms.items()},
        },
    }
    text = f"{stream.prefix}Stream"
    components[text] = {
        "type": "string",
        "description": stream.description,
        "contentMediaType": "text/event-stream",
        "contentSchema": {"$ref": _REF + item},
    }
    for part in schemas_in(document["paths"]):
        if part.get("schema") == {"$ref": _REF + text}:
            part["x-itemSchema"] = {"$ref": _REF + item}
    return {data.__name__: data for data in stream.events.values()}


def _event(event: str, data: type) -> Schema:
    return {
        "type": "object",
        "description": f"`event: {event}`.",
        "required": ["event", "data"],
        "properties": {
            "event": {"type": "string", "const": event, "description": "The event's name."},
            "id": {"type": "string", "description": "Its id, to resume after it; not every event has one."},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": _REF + data.__name__},
                "description": f"A JSON text: {data.__name__}.",
            },
        },
    }
