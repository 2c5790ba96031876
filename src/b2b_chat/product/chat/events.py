"""A run as server-sent events: `start`, `delta` …, then `final` or `error`.

Every event's id is `<attempt>-<offset>`, the offset being how many characters of the answer had been sent by its
end, so that a place in the stream means the same during the run and long after it.
"""

from collections.abc import AsyncGenerator

import msgspec

from b2b_chat.contract.schemas import ChatDelta
from b2b_chat.contract.sse import encode
from b2b_chat.product.chat.runs import Run
from b2b_chat.product.chat.schemas import ChatAnswer, ChatFinal, ChatStart
from b2b_chat.product.errors import error_body

_encoder = msgspec.json.Encoder()


async def events_of(run: Run) -> AsyncGenerator[bytes, None]:
    """Everything that a reader of a run is sent, from its start. Pieces that are ready together come as one."""
    start = ChatStart(run.conversation_id, run.user_message_id, run.assistant_message_id)
    yield encode(b"start", _encoder.encode(start), event_id=_event_id(run, 0))
    seen = offset = 0
    while True:
        await run.changed(seen)
        if seen < len(run.pieces):
            text = "".join(run.pieces[seen:])
            seen = len(run.pieces)
            offset += len(text)
            yield encode(b"delta", _encoder.encode(ChatDelta(text)), event_id=_event_id(run, offset))
        elif run.outcome is not None:
            yield _last_event(run, offset)
            return


def _last_event(run: Run, offset: int) -> bytes:
    outcome = run.outcome
    event_id = _event_id(run, offset) + b"-end"
    if isinstance(outcome, ChatAnswer):
        final = ChatFinal(outcome.status, outcome.text, outcome.usage, outcome.charge_credits, outcome.balance_credits)
        return encode(b"final", _encoder.encode(final), event_id=event_id)
    if outcome is None:
        raise RuntimeError("the run has not ended")
    return encode(b"error", _encoder.encode(error_body(outcome)), event_id=event_id)


def _event_id(run: Run, offset: int) -> bytes:
    return b"%d-%d" % (run.attempt, offset)
