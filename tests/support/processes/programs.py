"""Programs that no wheel brings, such as nginx and buildah, found on PATH."""

import os
import shutil
import sys
from pathlib import Path
from typing import Final, NoReturn

import pytest

TOOL_PATH: Final = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""Where programs are looked for: beside our own Python first, and where Debian keeps servers."""


def needed_tool(*names: str, package: str) -> str:
    """The path of a program; where it is missing the test is skipped, and fails in CI, which installs it.

    Args:
        names: The program's file name, and others that it goes by.
        package: The Debian package that brings it.
    """
    path = next((path for name in names if (path := shutil.which(name, path=TOOL_PATH))), None)
    if path is None:
        lacks(f"{names[0]} is not installed. Run: apt-get install {package}")
    return path


def lacks(what: str) -> NoReturn:
    """Skip a test for want of something outside this project; in CI, which has it, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
