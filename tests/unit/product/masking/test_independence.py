import ast
from pathlib import Path

import b2b_chat.product.masking

ALLOWED = ("b2b_chat.product.masking", "b2b_chat.contract", "b2b_chat.product.refusals")


def test_masking_needs_nothing_else_of_the_product_and_no_database() -> None:
    modules = list(Path(next(iter(b2b_chat.product.masking.__path__))).glob("*.py"))
    assert len(modules) > 20
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not name.startswith(("sqlalchemy", "litestar", "pymorphy")), module.name
                assert not name.startswith("b2b_chat") or name.startswith(ALLOWED), (module.name, name)


def test_only_the_module_of_masked_requests_holds_their_seal() -> None:
    source = Path(b2b_chat.product.masking.__file__ or "").parents[2]
    holders = [path.name for path in source.rglob("*.py") if "_SEAL" in path.read_text(encoding="utf-8")]
    assert holders == ["requests.py"]
