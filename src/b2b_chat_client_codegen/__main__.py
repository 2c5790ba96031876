"""Read product_api's OpenAPI document on stdin, and write what is generated from it."""

import json
import sys
from pathlib import Path
from typing import Any, Final

from b2b_chat_client_codegen import python, typescript
from b2b_chat_client_codegen.document import Document

_SOURCES: Final = Path(__file__).parents[1]


def generated(document: dict[str, Any]) -> dict[Path, str]:
    """Return the text of each generated file, by its path in `src`."""
    read = Document(document)
    here, there = Path("b2b_chat_client"), Path("b2b_chat_client_ts/src")
    return {
        here / "types.py": python.types_module(read),
        here / "resources.py": python.resources_module(read, is_async=False),
        here / "async_resources.py": python.resources_module(read, is_async=True),
        there / "types.ts": typescript.types_module(read),
        there / "resources.ts": typescript.resources_module(read),
    }


if __name__ == "__main__":
    for path, text in generated(json.load(sys.stdin)).items():
        (_SOURCES / path).write_text(text, encoding="utf-8")
