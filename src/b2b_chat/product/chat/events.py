"""An answer as server-sent events: `start`, `delta` …, then `final` or `error`; `restart` where it is begun anew.

Every event's id is `<attempt>-<offset>`, the offset being how many characters of the answer had been sent by its
end, so that a position in the stream means the same during the run and long after it.
"""

import re
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

import msgspec

from b2b_chat.contract.schemas import ChatDelta
from b2b_chat.contract.sse import encode
from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.text import form
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.failures import AnswerFailed
from b2b_chat.product.chat.schemas import ChatAnswer, ChatFinal, ChatRestart, ChatStart
from b2b_chat.product.errors import error_body

EVENT_ID: Final = form("^[0-9]{1,9}-[0-9]{1,9}(-end)?$", "the id of an event")
"""The form of an event's id."""
_encoder = msgspec.json.Encoder()


class Position(NamedTuple):
    """Where a reader is in a stream: the attempt, the characters it has, and whether it has the end."""

    attempt: int
    offset: int
    at_end: bool


def read_event_id(event_id: str) -> Position:
    """Return the position that a `Last-Event-ID` names.

    Raises:
        InvalidRequest: It is not an id of ours.
    """
    if not re.fullmatch(EVENT_ID, event_id):
        raise InvalidRequest("Last-Event-ID: not one of this stream.", param="Last-Event-ID")
    attempt, offset, *end = event_id.split("-")
    return Position(int(attempt), int(offset), bool(end))


def opening_of(log: AnswerLog, after: Position | None = None, *, restart: bool = False) -> bytes:
    """Return the event that precedes any text, for a reader who continues from a position.

    A position in another attempt does not count in this one. The reader then gets `restart` where they understand it,
    else `start` again, whose id shows the new attempt.
    """
    if after is not None and after.attempt == log.attempt:
        return b""
    if after is not None and restart:
        return _restart(log)
    start = ChatStart(log.conversation_id, log.user_message_id, log.assistant_message_id)
    return encode(b"start", _encoder.encode(start), event_id=_event_id(log, 0))


async def events_of(
    log: AnswerLog, after: Position | None = None, *, restart: bool = False, fails_first: bool = False
) -> AsyncGenerator[bytes, None]:
    """Everything that a reader of an answer is sent after the opening, from its start or after a position in it.

    Pieces that are ready together come as one.

    Args:
        log: Of the attempt that the opening was of.
        after: The position that the opening was of.
        restart: Whether the reader goes on where the answer is begun anew; else it ends with the attempt's failure.
        fails_first: Whether a failure before any text is raised, instead of being an event.

    Raises:
        AnswerFailed: As `fails_first` says.
    """
    seen = offset = 0
    skip = after.offset if after is not None and after.attempt == log.attempt else 0
    while True:
        await log.changed(seen)
        if log.successor is not None and (restart or not (log.pieces or skip)):
            log, seen, offset, skip = log.successor, 0, 0, 0
            if restart:
                yield _restart(log)
        elif seen < len(log.pieces):
            text = "".join(log.pieces[seen:])
            seen = len(log.pieces)
            unread = text[max(0, skip - offset) :]
            offset += len(text)
            if unread:
                yield encode(b"delta", _encoder.encode(ChatDelta(unread)), event_id=_event_id(log, offset))
        elif log.outcome is not None:
            if fails_first and not offset and isinstance(log.outcome, AnswerFailed):
                raise located(log.outcome, log)
            yield _last_event(log, offset)
            return
        elif log.is_closed_here:  # a stream without an end is to be followed anew
            return


def failure_event(log: AnswerLog, error: Exception) -> bytes:
    """Return what `events_of` raised as an event, for a stream that has begun without a text meanwhile.

    Raises:
        Exception: It is a defect, which cuts the stream: the reader may follow the answer anew.
    """
    if not isinstance(error, AnswerFailed):
        raise error
    while log.successor is not None:
        log = log.successor
    return _last_event(log, 0)


def located(failure: AnswerFailed, log: AnswerLog) -> AnswerFailed:
    """Return a failure whose response says where the answer is: the message was accepted, and can be followed."""
    failure.headers["Content-Location"] = f"/v1/chat/{log.assistant_message_id}/events"
    return failure


def _restart(log: AnswerLog) -> bytes:
    return encode(b"restart", _encoder.encode(ChatRestart(log.attempt)), event_id=_event_id(log, 0))


def _last_event(log: AnswerLog, offset: int) -> bytes:
    outcome = log.outcome
    event_id = _event_id(log, offset) + b"-end"
    if isinstance(outcome, ChatAnswer):
        final = ChatFinal(
            outcome.status,
            outcome.text,
            outcome.usage,
            outcome.charge_credits,
            outcome.balance_credits,
            outcome.finish_reason,
            outcome.cut_by,
            outcome.tool_calls,
            outcome.refusal,
        )
        return encode(b"final", _encoder.encode(final), event_id=event_id)
    if outcome is None:
        raise RuntimeError("the answer has not ended")
    return encode(b"error", _encoder.encode(error_body(outcome)), event_id=event_id)


def _event_id(log: AnswerLog, offset: int) -> bytes:
    return b"%d-%d" % (log.attempt, offset)
