"""One message, one answer: a call that repeats an answered one gets the stored answer, and OpenAI is not asked again.

Only success is remembered. While a message is being answered, another call for it is refused; a call for other content
under its id is refused as long as it is known.
"""

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TypeAlias
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from b2b_chat.contract.options import options_of
from b2b_chat.contract.schemas import ChatRequest, ChatResult
from b2b_chat.gateway.log_ids import logged
from b2b_chat.kit.valkey import Script, Valkey, ValkeyUnavailable

Key: TypeAlias = bytes
"""Company and message, 16 bytes each."""

_RECORD_BYTES: Final = 1024
"""A generous bound of what an answer takes beside its text."""

log = structlog.get_logger(__name__)


class MessageInFlight(Exception):
    """The message is being answered now."""


class OtherContent(Exception):
    """The message's id is in use for other content."""


class RecordsUnavailable(Exception):
    """The records cannot be asked whether the message is known."""


class Records(Protocol):
    """The messages that are being answered and, for a while, those that were.

    They are bounded, and the oldest answer is dropped first. A dropped answer costs a second call to OpenAI if it is
    asked for again, and nothing else: product_api charges a message once, whatever happens here.
    """

    async def begin(self, key: Key, fingerprint: bytes) -> ChatResult | None:
        """Return the stored answer; or None, and then the message is being answered until `finish` or `forget`.

        Raises:
            MessageInFlight: It is being answered already.
            OtherContent: Its id is in use for something else.
            RecordsUnavailable: The records cannot be asked.
        """
        ...

    async def finish(self, key: Key, result: ChatResult) -> None:
        """Store the answer of a message that was begun."""
        ...

    async def forget(self, key: Key) -> None:
        """Release a message that was begun and not finished, so that it may be asked for again."""
        ...


class _Finished(Struct, frozen=True):
    fingerprint: bytes
    result: ChatResult
    size_bytes: int
    finished_at: float


def key_of(request: ChatRequest) -> Key:
    """Return the key of a request's message."""
    return request.metadata.company_id.bytes + request.metadata.message_id.bytes


def fingerprint_of(request: ChatRequest) -> bytes:
    """Return a hash of what was asked. Streaming or not, and the answer's limit, do not make it another question."""
    asked: tuple[object, ...] = (request.model, request.messages)
    options = options_of(request)
    if options:  # a chat without any has the fingerprint that earlier releases gave it
        asked = (*asked, options)
    return hashlib.sha256(msgspec.json.encode(asked)).digest()


def _size_bytes(result: ChatResult) -> int:
    return (
        len(result.text.encode())
        + _RECORD_BYTES
        + sum(len(call.function.arguments.encode()) + _RECORD_BYTES for call in result.calls)
    )


class MemoryRecords:
    """The messages of one process."""

    def __init__(self, *, ttl_seconds: float, capacity_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_seconds = ttl_seconds
        self._capacity_bytes = capacity_bytes
        self._clock = clock
        self._running: dict[Key, bytes] = {}
        self._finished: OrderedDict[Key, _Finished] = OrderedDict()
        self._size_bytes = 0

    async def begin(self, key: Key, fingerprint: bytes) -> ChatResult | None:
        """Return the stored answer; or None, and then the message is being answered until `finish` or `forget`.

        Raises:
            MessageInFlight: It is being answered already.
            OtherContent: Its id is in use for something else.
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

    async def finish(self, key: Key, result: ChatResult) -> None:
        """Store the answer of a message that was begun."""
        size_bytes = _size_bytes(result)
        self._finished[key] = _Finished(self._running.pop(key), result, size_bytes, self._clock())
        self._size_bytes += size_bytes
        self._expire()

    async def forget(self, key: Key) -> None:
        """Release a message that was begun and not finished, so that it may be asked for again."""
        self._running.pop(key, None)

    def _expire(self) -> None:
        oldest_kept_at = self._clock() - self._ttl_seconds
        while self._finished:
            key, record = next(iter(self._finished.items()))
            if record.finished_at > oldest_kept_at and self._size_bytes <= self._capacity_bytes:
                return
            del self._finished[key]
            self._size_bytes -= record.size_bytes


_RUNNING: Final = b"r"
_FINISHED: Final = b"f"
_FINGERPRINT_BYTES: Final = 32
_OWNER_BYTES: Final = 16
_RENEWALS_PER_LEASE: Final = 3
_INDEX_KEY: Final = "gateway:answers"
_SIZE_KEY: Final = "gateway:answers:bytes"

_RENEW: Final = Script("""
for number, key in ipairs(KEYS) do
  local known = redis.call('GET', key)
  if known == ARGV[number + 1] then
    redis.call('PEXPIRE', key, ARGV[1])
  elseif not known then
    redis.call('SET', key, ARGV[number + 1], 'PX', ARGV[1])
  end
end
""")
_FORGET: Final = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
""")
# The index has a row for every answer, "<bytes> <key>" by the time it expires, to find the oldest when there are too
# many bytes. Each end of a call clears a few rows away, more than it adds, so that none takes long.
_FINISH: Final = Script("""
local key, index, total = KEYS[1], KEYS[2], KEYS[3]
local running, answer, ttl, capacity, size = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local known = redis.call('GET', key)
if known and known ~= running then return end
if ttl <= 0 then
  redis.call('DEL', key)
  return
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', key, answer, 'PX', ttl)
if redis.call('ZADD', index, now + ttl, size .. ' ' .. key) == 1 then redis.call('INCRBY', total, size) end
for _ = 1, 32 do
  local row, over_at = unpack(redis.call('ZRANGE', index, 0, 0, 'WITHSCORES'))
  if not row then return end
  local is_over = tonumber(over_at) <= now
  if not is_over and tonumber(redis.call('GET', total)) <= capacity then return end
  local bytes, of = string.match(row, '^(%d+) (.+)$')
  redis.call('ZREM', index, row)
  redis.call('DECRBY', total, bytes)
  if not is_over then redis.call('DEL', of) end
end
""")


class ValkeyRecords:
    """The messages of all workers and machines of a gateway.

    A message that is being answered has a lease, which its worker renews (`keep_leases`). A killed worker renews
    nothing, and its messages may soon be asked for again. Each call has its own owner's mark, so that a call that lost
    its lease, by a stall or because Valkey lost its memory, never touches what another has begun since.

    Args:
        valkey: Holds the records.
        ttl_seconds: How long an answer is kept; 0 keeps none.
        capacity_bytes: Of all answers together.
        lease_seconds: How long a message counts as being answered after its lease was last renewed.
    """

    def __init__(self, valkey: Valkey, *, ttl_seconds: float, capacity_bytes: int, lease_seconds: float) -> None:
        self._valkey = valkey
        self._ttl_milliseconds = int(ttl_seconds * 1000)
        self._capacity_bytes = capacity_bytes
        self._lease_seconds = lease_seconds
        self._lease_milliseconds = int(lease_seconds * 1000)
        self._begun: dict[Key, bytes] = {}
        self._forgetting: set[asyncio.Task[None]] = set()

    async def begin(self, key: Key, fingerprint: bytes) -> ChatResult | None:
        """Return the stored answer; or None, and then the message is being answered until `finish` or `forget`.

        Raises:
            MessageInFlight: It is being answered already.
            OtherContent: Its id is in use for something else.
            RecordsUnavailable: Valkey does not answer.
        """
        mark = _RUNNING + fingerprint + secrets.token_bytes(_OWNER_BYTES)
        try:
            known = await self._valkey.ask("SET", _name(key), mark, "NX", "GET", "PX", self._lease_milliseconds)
        except ValkeyUnavailable:
            raise RecordsUnavailable from None
        if known is None:
            self._begun[key] = mark
            return None
        state, rest = known[:1], known[1:]
        if rest[:_FINGERPRINT_BYTES] != fingerprint:
            raise OtherContent
        if state == _RUNNING:
            raise MessageInFlight
        return _decoder.decode(rest[_FINGERPRINT_BYTES:])

    async def finish(self, key: Key, result: ChatResult) -> None:
        """Store the answer of a message that was begun. If Valkey does not answer, the lease runs out instead."""
        mark = self._begun.pop(key)
        fingerprint = mark[1 : 1 + _FINGERPRINT_BYTES]
        answer = _FINISHED + fingerprint + _encoder.encode(result)
        try:
            await self._valkey.run(
                _FINISH,
                (_name(key), _INDEX_KEY, _SIZE_KEY),
                (mark, answer, self._ttl_milliseconds, self._capacity_bytes, _size_bytes(result)),
            )
        except ValkeyUnavailable:
            log.warning(
                "answer_not_kept", company_id=logged(UUID(bytes=key[:16])), message_id=logged(UUID(bytes=key[16:]))
            )

    async def forget(self, key: Key) -> None:
        """Release a message that was begun and not finished, also while the caller is being cancelled."""
        mark = self._begun.pop(key, None)
        if mark is None:
            return
        task = asyncio.create_task(self._forget(key, mark))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)
        await asyncio.shield(task)

    async def keep_leases(self) -> None:
        """Renew the leases of what is being answered here, until cancelled."""
        while True:
            await asyncio.sleep(self._lease_seconds / _RENEWALS_PER_LEASE)
            if self._begun:
                with suppress(ValkeyUnavailable):
                    names = [_name(key) for key in self._begun]
                    await self._valkey.run(_RENEW, names, [self._lease_milliseconds, *self._begun.values()])

    async def _forget(self, key: Key, mark: bytes) -> None:
        with suppress(ValkeyUnavailable):
            await self._valkey.run(_FORGET, [_name(key)], [mark])


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ChatResult)


def _name(key: Key) -> bytes:
    """Return a message's key in Valkey."""
    return b"gateway:message:" + key
