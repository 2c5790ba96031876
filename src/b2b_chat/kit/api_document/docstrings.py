"""What the source says about fields: the string below each, which Python forgets at run time."""

import ast
import importlib
import inspect
from functools import cache
from itertools import pairwise


def meanings_of_fields(described: type) -> dict[str, str]:
    """Return what is written below each field of a class, or of a class that it inherits from."""
    found: dict[str, str] = {}
    for each in reversed(described.__mro__):
        if each.__module__.partition(".")[0] == described.__module__.partition(".")[0]:
            found |= _of_module(each.__module__).get(each.__qualname__, {})
    return found


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    module = importlib.import_module(name)
    return {
        node.name: dict(_of_body(node.body))
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef)
    }


def _of_body(body: list[ast.stmt]) -> list[tuple[str, str]]:
    return [
        (field.target.id, inspect.cleandoc(text.value.value))
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    ]
