"""One message, one answer: whoever asks again for what was answered gets the same answer, and OpenAI is not asked.

Only success is remembered. While a message is being answered, asking for it again is refused; asking under its id for
something else is refused as long as it is known.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct

from b2b_chat.contract.schemas import ChatRequest, ChatResult

Key: TypeAlias = tuple[UUID, UUID]
"""Company and message."""

_RECORD_BYTES: Final = 1024
"""What an answer takes beside its text, generously."""


class MessageInFlight(Exception):
    """The message is being answered now."""


class OtherContent(Exception):
    """The message's id stands for other content already."""


class _Finished(Struct, frozen=True):
    fingerprint: bytes
    result: ChatResult
    size_bytes: int
    finished_at: float


def key_of(request: ChatRequest) -> Key:
    """What names a request's message."""
    return request.metadata.company_id, request.metadata.message_id


def fingerprint_of(request: ChatRequest) -> bytes:
    """What was asked. How the answer is fetched, and how long it may be, does not make it another question."""
    return hashlib.sha256(msgspec.json.encode((request.model, request.messages))).digest()


class MemoryRecords:
    """The messages of one process: those being answered, and for a while those answered.

    It is bounded, and the oldest answer goes first. An answer that went early costs a second call to OpenAI if it is
    asked for again, and nothing else: product_api charges a message once whatever happens here.
    """

    def __init__(self, *, ttl_seconds: float, capacity_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_seconds = ttl_seconds
        self._capacity_bytes = capacity_bytes
        self._clock = clock
        self._running: dict[Key, bytes] = {}
        self._finished: OrderedDict[Key, _Finished] = OrderedDict()
        self._size_bytes = 0

    def begin(self, key: Key, fingerprint: bytes) -> ChatResult | None:
        """The stored answer; or None, and then the message is being answered until `finish` or `forget`.

        Raises:
            MessageInFlight: It is being answered already.
            OtherContent: Its id stands for something else.
        """
        self._expire()
        record = self._finished.get(key)
        known = self._running.get(key) if record is None else record.fingerprint
        if known is not None and known != fingerprint:
            raise OtherContent
        if record is not None:
            return record.result
        if known is not None:
            raise MessageInFlight
        self._running[key] = fingerprint
        return None

    def finish(self, key: Key, result: ChatResult) -> None:
        """Remember the answer of a message that was begun."""
        size_bytes = len(result.text.encode()) + _RECORD_BYTES
        self._finished[key] = _Finished(self._running.pop(key), result, size_bytes, self._clock())
        self._size_bytes += size_bytes
        self._expire()

    def forget(self, key: Key) -> None:
        """Let a message that was begun, and not finished, be asked for again."""
        self._running.pop(key, None)

    def _expire(self) -> None:
        oldest_kept_at = self._clock() - self._ttl_seconds
        while self._finished:
            key, record = next(iter(self._finished.items()))
            if record.finished_at > oldest_kept_at and self._size_bytes <= self._capacity_bytes:
                return
            del self._finished[key]
            self._size_bytes -= record.size_bytes
