"""What an app says about its document beyond its handlers: one Struct, given by the app."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct


class Stream(Struct, frozen=True):
    """Answers by server-sent events: `<prefix>Stream`, a text, whose items are `<prefix>StreamEvent`."""

    prefix: str
    description: str
    events: Mapping[str, type[Struct]]
    """What the data of each event is."""


class Words(Struct, frozen=True):
    """An app's own words for its document."""

    fields: Mapping[str, str]
    """What a field or parameter of this name means where its own docstring says nothing."""
    tags: Mapping[str, str]
    """What the operations of a tag are for."""
    examples: Mapping[str, Any]
    """A value for a field or parameter of this name, in requests and samples."""
    enumerations: Mapping[str, tuple[str, Sequence[str]]]
    """Components for texts that occur in many places: a description, and the texts."""
    headers: Mapping[str, str]
    """What a header of an answer means."""
    statuses_to_wait: Sequence[str] = ("429", "503")
    """Which answers may have `Retry-After`."""
    streams: Sequence[Stream] = ()
    key_variable: str | None = None
    """The environment variable that samples take the API key from; None for an app whose calls are signed."""
