"""What a call does, without the doing of it.

A call is a generator, a `Flow`: it yields steps and is sent their results, and a failed step is thrown into it. The
retries and the resuming of streams are therefore written once; `connection` and `async_connection` do the steps.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from b2b_chat_client.errors import B2BChatError
from b2b_chat_client.events import StreamEvent


@dataclass(frozen=True)
class Request:
    """What is sent. The connection adds the address and the key."""

    method: str
    path: str
    """With its query."""
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Head:
    """What a response begins with. The names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Open:
    """Send a request; results in the `Head` of its response, whose body is unread."""

    request: Request


@dataclass(frozen=True)
class Read:
    """Results in the next bytes of the body, or in none at its end."""


@dataclass(frozen=True)
class ReadAll:
    """Results in all bytes of the body, and closes it."""


@dataclass(frozen=True)
class Close:
    """Close the response, read or not."""


@dataclass(frozen=True)
class Wait:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True)
class Emit:
    """Show an event to the reader of a stream."""

    event: StreamEvent


Step: TypeAlias = Open | Read | ReadAll | Close | Wait | Emit

T = TypeVar("T")
Flow: TypeAlias = Generator[Step, Any, T]
"""Yields steps, is sent their results, and returns what the call is for."""


def opened(request: Request) -> Flow[Head]:
    """Send a request."""
    head: Head = yield Open(request)
    return head


def read() -> Flow[bytes]:
    """Return the next bytes of the body."""
    chunk: bytes = yield Read()
    return chunk


def read_all() -> Flow[bytes]:
    """Return the whole body."""
    body: bytes = yield ReadAll()
    return body


def resumed(flow: Flow[Any], result: Any) -> Step:
    """Give a flow the result of its step, or throw what it failed with into it; return its next step."""
    return flow.throw(result) if isinstance(result, B2BChatError) else flow.send(result)


def noted(flow: Flow[T], values: list[T]) -> Flow[None]:
    """Keep what a flow returns: a loop over its events does not show that."""
    values.append((yield from flow))
