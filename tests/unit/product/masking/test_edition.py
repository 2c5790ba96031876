"""The edition of the rules follows the rules."""

import shutil
import subprocess
import sys
from pathlib import Path

import b2b_chat
from b2b_chat.product.masking.edition import edition

PACKAGE = Path(b2b_chat.__file__).parent
ASK = "from b2b_chat.product.masking.edition import edition; print(edition())"


def edition_of(source: Path) -> str:
    asked = subprocess.run(
        [sys.executable, "-c", ASK], check=False, env={"PYTHONPATH": str(source)}, capture_output=True, text=True
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout.strip()


def test_other_rules_or_other_words_are_another_edition(tmp_path: Path) -> None:
    copy = tmp_path / "b2b_chat"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert edition_of(tmp_path) == edition() == edition()
    seen = {edition()}
    for changed in ("words/male.txt", "shapes_phones.py"):
        with (copy / "product/masking" / changed).open("a") as file:
            file.write("\n# another\n")
        seen.add(edition_of(tmp_path))
    assert len(seen) == 3
