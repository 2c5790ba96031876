"""A test's database and its two users: its owner, and the user that product_api works as, with few rights."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import urlsplit

from b2b_chat.sandbox.errors import SandboxError
from b2b_chat.sandbox.postgres import run_sql


class AppUser(NamedTuple):
    """A user without any right of its own; migrations give it those of product_api."""

    name: str
    password: str

    def url(self, owner_url: str) -> str:
        """The address of an owner's database, as this user."""
        parts = urlsplit(owner_url)
        server = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{self.name}:{self.password}@{server}").geturl()


@contextmanager
def created_app_user(server_url: str) -> Iterator[AppUser]:
    """Create a user on a server for a block."""
    user = AppUser(f"b2b_chat_app_{token_hex(6)}", token_hex(16))
    run_sql(server_url, f"CREATE ROLE {user.name} LOGIN PASSWORD '{user.password}'")
    try:
        yield user
    finally:
        with suppress(SandboxError):  # a test left a database behind, on a server that ends with the tests
            run_sql(server_url, f"DROP ROLE {user.name}")


@contextmanager
def created_database(server_url: str, *, prefix: str, template: str = "template1") -> Iterator[str]:
    """Create a database on a server for a block: its address, as its owner."""
    name = f"{prefix}_{token_hex(6)}"
    run_sql(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield on_database(server_url, name)
    finally:
        run_sql(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def on_database(url: str, name: str) -> str:
    """The address of another database of the same server, as the same user."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()
