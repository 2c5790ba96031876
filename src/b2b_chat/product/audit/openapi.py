"""How an export looks in the OpenAPI document."""

from dataclasses import dataclass
from typing import Any

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Schema

from b2b_chat.product.audit.export import MEDIA_TYPES


@dataclass
class ExportingOperation(Operation):
    """An operation that answers with text in one of several formats."""

    def __post_init__(self) -> None:
        """Replace what Litestar found by the formats."""
        found: Any = self.responses
        found["200"].description = "A record a line, as JSON or as CSV."
        text = Schema(type=OpenAPIType.STRING)
        found["200"].content = {media_type: OpenAPIMediaType(schema=text) for media_type in MEDIA_TYPES.values()}
