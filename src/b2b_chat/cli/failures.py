"""How a command fails: lines on stderr that say what to do, and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final, NoReturn

import click

from b2b_chat.kit.settings import SettingsError

FAILED: Final = 1
WRONG_USE: Final = 2


def fail(*problems: str, code: int = FAILED) -> NoReturn:
    """End the command with a message on stderr, a line for each problem."""
    for problem in problems:
        click.echo(f"b2b-chat: {problem}", err=True)
    sys.exit(code)


@contextmanager
def needs(extra: str, *packages: str) -> Iterator[None]:
    """End the command inside if a package is not installed, and name the extra that brings the package.

    `packages` are searched, without an import, before the command begins: they are those that only a worker process
    imports, which would otherwise fail again and again.
    """
    for package in packages:
        if find_spec(package) is None:
            _fail_without(package, extra)
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("b2b_chat"):
            raise  # a module of ours: a defect, not a missing extra
        _fail_without(error.name, extra)


@contextmanager
def settings_explained() -> Iterator[None]:
    """End the command inside if settings are wrong, and name each variable on a line."""
    try:
        yield
    except SettingsError as error:
        fail(*error.problems, code=WRONG_USE)


@contextmanager
def outages_explained() -> Iterator[None]:
    """End the command inside with a line if the database cannot be used."""
    from b2b_chat.kit.database import is_outage

    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        fail(f"the database at DATABASE_URL does not answer ({type(error).__name__}). Check the address, and retry.")


def _fail_without(package: str, extra: str) -> NoReturn:
    fail(f"this needs {package}, which is not installed. Run: pip install 'b2b-chat[{extra}]'")
