"""A shell on the server, in which a command runs one use case of product_api."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID, uuid4

import click
import msgspec

from b2b_chat.cli.failures import fail, needs, outages_explained, settings_explained

if TYPE_CHECKING:
    from b2b_chat.product.audit.actors import Actor
    from b2b_chat.product.services import DatabaseServices

ResultT = TypeVar("ResultT")

_STATEMENT_SECONDS: Final = 600
"""The audit log may be long."""


@dataclass(frozen=True)
class Shell:
    """The services of product_api for one command, and the person who runs it."""

    runner: asyncio.Runner
    actor: "Actor"
    services: "DatabaseServices"

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run a use case and return its result."""
        return self.runner.run(work)

    def user_id(self, name: str) -> UUID:
        """Return the id of the user with this id or address."""
        return self.run(self.services.users.find_id(name)) if "@" in name else convert(name, UUID)


@contextmanager
def open_shell() -> Iterator[Shell]:
    """Open the services around a command, and report every expected failure in a line."""
    with needs("product"), settings_explained():
        from b2b_chat.kit.current_request import current_request_id
        from b2b_chat.kit.errors import Refusal
        from b2b_chat.product.audit.actors import command_line_actor
        from b2b_chat.product.database_roles import load_database_settings
        from b2b_chat.product.services import database_services

        # The audit rows of one command share an id, like those of one request.
        current_request_id.set(f"cli-{uuid4().hex}")
        opening = database_services(load_database_settings(), statement_seconds=_STATEMENT_SECONDS)
        with asyncio.Runner() as runner:
            services = runner.run(opening.__aenter__())
            try:
                with outages_explained():
                    yield Shell(runner, command_line_actor(), services)
            except Refusal as refusal:
                fail(refusal.message)
            finally:
                runner.run(opening.__aexit__(None, None, None))


def convert(value: Any, kind: Any) -> Any:
    """Convert an argument to the type that a use case takes, by the rules of the HTTP API."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`") or str(value)
        raise click.UsageError(f"{name}: {problem}.") from None
