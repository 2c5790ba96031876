"""An answer as server-sent events: `start`, `delta` …, then `final` or `error`.

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
from b2b_chat.product.chat.schemas import ChatAnswer, ChatFinal, ChatStart
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


async def events_of(log: AnswerLog, after: Position | None = None) -> AsyncGenerator[bytes, None]:
    """Everything that a reader of an answer is sent, from its start or after a position in it.

    Pieces that are ready together come as one. A position in an earlier attempt is none in this one: the reader then
    gets `start` again, whose id shows the new attempt.
    """
    seen = offset = 0
    skip = 0
    if after is not None and after.attempt == log.attempt:
        if after.at_end:
            return
        skip = after.offset
    else:
        start = ChatStart(log.conversation_id, log.user_message_id, log.assistant_message_id)
        yield encode(b"start", _encoder.encode(start), event_id=_event_id(log, 0))
    while True:
        await log.changed(seen)
        if seen < len(log.pieces):
            text = "".join(log.pieces[seen:])
            seen = len(log.pieces)
            unread = text[max(0, skip - offset) :]
            offset += len(text)
            if unread:
                yield encode(b"delta", _encoder.encode(ChatDelta(unread)), event_id=_event_id(log, offset))
        elif log.outcome is not None:
            yield _last_event(log, offset)
            return
        elif log.is_closed_here:  # a stream without an end is to be followed anew
            return


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
        )
        return encode(b"final", _encoder.encode(final), event_id=event_id)
    if outcome is None:
        raise RuntimeError("the answer has not ended")
    return encode(b"error", _encoder.encode(error_body(outcome)), event_id=event_id)


def _event_id(log: AnswerLog, offset: int) -> bytes:
    return b"%d-%d" % (log.attempt, offset)
