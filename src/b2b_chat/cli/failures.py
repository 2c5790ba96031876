"""How a command fails: lines on stderr that say what to do, and an exit code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final, NoReturn

import click

from b2b_chat.kit.logging import describe_exception
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
def outages_explained(variable: str = "DATABASE_URL") -> Iterator[None]:
    """End the command inside with a line if the database at a variable's address cannot be used."""
    from b2b_chat.kit.database import explain_refusal, is_outage

    try:
        yield
    except Exception as error:
        if (refusal := explain_refusal(error)) is not None:
            fail(f"the database at {variable} {refusal}")
        if not is_outage(error):
            raise
        fail(f"the database at {variable} does not answer ({type(error).__name__}). Check the address, and retry.")


@contextmanager
def owner_explained() -> Iterator[None]:
    """End the command inside with a line if the database cannot be used by its owner."""
    name = "MIGRATIONS_DATABASE_URL"
    with outages_explained(name if os.environ.get(name) or os.environ.get(f"{name}_FILE") else "DATABASE_URL"):
        yield


def fail_unexpectedly(error: Exception) -> NoReturn:
    """End the command with the types and places of an exception; its message may quote SQL, an address or a secret."""
    fail("this failed unexpectedly. Please report it with these lines:", *describe_exception(error))


def _fail_without(package: str, extra: str) -> NoReturn:
    fail(f"this needs {package}, which is not installed. Run: pip install 'b2b-chat[{extra}]'")
