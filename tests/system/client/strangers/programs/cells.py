"""How a program of this folder says which of its features work: one line of JSON each."""

import asyncio
import inspect
import json
import traceback
from collections.abc import Callable
from typing import Any

MODEL = "gpt-5.2"
QUESTION = "What is a border?"
TOOL_QUESTION = "What is the weather in Omsk? [[simulate: tool]]"
OBJECT_QUESTION = "Who wrote Oblomov?"


def run(*features: Callable[[], Any]) -> None:
    """Run each feature, named by its function, and print whether it works."""
    for feature in features:
        try:
            result = feature()
            if inspect.isawaitable(result):
                asyncio.run(_awaited(result))
            problem = None
        except Exception:  # noqa: BLE001 - whatever a stranger's client raises is a cell that does not work
            problem = traceback.format_exc()
        print(json.dumps({"feature": feature.__name__, "problem": problem}), flush=True)


async def _awaited(result: Any) -> Any:
    return await result
