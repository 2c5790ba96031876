"""The one place where a document is finished, for both apps."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import OpenAPI

from b2b_chat.kit.api_document.operations import finish_operations, operations_of
from b2b_chat.kit.api_document.schemas import finish_components
from b2b_chat.kit.api_document.streams import add_stream
from b2b_chat.kit.api_document.words import Words
from b2b_chat.kit.openapi import ExactStructs


def finish(document: dict[str, Any], structs: ExactStructs, words: Words, server: str) -> dict[str, Any]:
    """Finish a document as Litestar makes it, and return it.

    Args:
        document: It is changed in place.
        structs: The plugin that saw the app's Structs.
        words: What the app says about itself.
        server: The address at which the app is reached.
    """
    document["servers"] = [{"url": server.rstrip("/"), "description": "This installation."}]
    classes = dict(structs.classes)
    for stream in words.streams:
        classes |= add_stream(document, stream)
    finish_components(document, classes, words)
    finish_operations(document, words, server)
    used = {tag for _, _, operation in operations_of(document) for tag in operation.get("tags", ())}
    document["tags"] = [{"name": tag, "description": words.tags.get(tag, "")} for tag in sorted(used)]
    return document


@dataclass
class FinishedConfig(OpenAPIConfig):
    """A configuration whose document is finished before anyone sees it."""

    finisher: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def to_openapi_schema(self) -> OpenAPI:
        """Return the document that Litestar fills."""
        begun = super().to_openapi_schema()
        document = _Finished(**{each.name: getattr(begun, each.name) for each in fields(begun)})
        document.finisher = self.finisher
        return document


class _Finished(OpenAPI):
    """Litestar's document, finished each time that it is written."""

    finisher: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def to_schema(self) -> dict[str, Any]:
        """Return the document as plain values."""
        plain = super().to_schema()
        return plain if self.finisher is None else self.finisher(plain)
