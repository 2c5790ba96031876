"""How a program of this folder says which of its features work: one line of JSON each."""

import json
import traceback
from collections.abc import Callable

QUESTION = "What is a border?"


def run(*features: Callable[[], None]) -> None:
    """Run each feature, named by its function, and print whether it works."""
    for feature in features:
        try:
            feature()
            problem = None
        except Exception:  # noqa: BLE001 - whatever a stranger's client raises is a cell that does not work
            problem = traceback.format_exc()
        print(json.dumps({"feature": feature.__name__, "problem": problem}), flush=True)
