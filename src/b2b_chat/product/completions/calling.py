"""Sends a call and gives its answer, whole or as it is written: what the operations of OpenAI's API have in common."""

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from litestar import Request, Response

from b2b_chat.contract.content import ToolCallPiece
from b2b_chat.kit.disconnects import ClientLeft, WhileClientStays
from b2b_chat.kit.event_stream import EventStream
from b2b_chat.product.chat.answer_log import AnswerLog
from b2b_chat.product.chat.entrance import Entrance
from b2b_chat.product.chat.failures import AnswerFailed, ClientDisconnected
from b2b_chat.product.chat.orders import order_of_call
from b2b_chat.product.chat.schemas import ChatAnswer
from b2b_chat.product.chat.service import Accepted
from b2b_chat.product.completions.keys import HEADER, name_of_call
from b2b_chat.product.masking.call_texts import Call
from b2b_chat.product.openai_errors import with_openai_limits
from b2b_chat.product.viewer import Viewer


class Writer(Protocol):
    """Writes the stream of an answer."""

    @property
    def opening(self) -> bytes:
        """What is known before the first piece."""
        ...

    def text(self, text: str, *, is_refusal: bool) -> bytes:
        """Return a piece of the text."""
        ...

    def calls(self, pieces: Sequence[ToolCallPiece]) -> bytes:
        """Return pieces of calls of tools."""
        ...

    def failure(self, error: Exception) -> bytes:
        """Return why the stream ends without an answer."""
        ...

    def end(self, answer: ChatAnswer) -> bytes:
        """Return what follows the last piece."""
        ...


async def sent(
    request: Request[Viewer, Any, Any], entrance: Entrance, call: Call, *, stream: bool, is_kept: bool
) -> Accepted:
    """Have a call answered, once for each `Idempotency-Key`.

    A call without one ends when its client leaves, since no one could ask for its answer again.
    """
    viewer = request.user
    key = request.headers.get(HEADER)
    order = order_of_call(
        viewer.company_id,
        name_of_call(viewer, key),
        call,
        kept_text=_question(call) if is_kept else None,
        ends_unread=key is None,
    )
    admit = partial(entrance.limits.admit_chat, viewer, entrance.client_ip.of(request))
    async with entrance.gate.passing(viewer.company_id):
        return await entrance.chat.send_call(viewer, order, stream=stream, admit=admit)


async def whole(
    request: Request[Viewer, Any, Any], accepted: Accepted, form: Callable[[ChatAnswer], Any]
) -> Response[Any]:
    """Answer with the whole answer, once it is there.

    Raises:
        AnswerFailed: There is none.
    """
    log = accepted.log
    log.attach()
    try:
        with WhileClientStays(request.receive):
            answer = await log.ended()
    except ClientLeft:
        raise ClientDisconnected from None
    finally:
        log.detach()
    headers = with_openai_limits(accepted.headers)
    headers["x-b2b-charge-credits"] = str(answer.charge_credits)
    return Response(form(answer), headers=headers)


def streamed(entrance: Entrance, accepted: Accepted, writer: Writer) -> Response[Any]:
    """Answer with the stream of an answer. A failure before its first piece has a status, if it comes in time."""
    log: AnswerLog = accepted.log
    log.attach(goes_on=False)
    settings = entrance.settings
    return EventStream(
        _written(log, writer),
        keep_alive_seconds=settings.sse_keep_alive_seconds,
        begin_within_seconds=settings.sse_begin_within_seconds,
        opening=writer.opening,
        failure_event=writer.failure,
        on_close=partial(log.detach, goes_on=False),
        headers=with_openai_limits(accepted.headers),
    )


async def _written(log: AnswerLog, writer: Writer) -> AsyncGenerator[bytes, None]:
    """Yield everything after the opening; what is ready together comes as one.

    Raises:
        AnswerFailed: There is no answer, and nothing of one was sent.
    """
    seen, calls_seen = 0, 0
    while True:
        await log.changed(seen, calls_seen)
        if log.successor is not None and not log.has_begun:
            log = log.successor
        elif seen < len(log.pieces):
            text = "".join(log.pieces[seen:])
            seen = len(log.pieces)
            yield writer.text(text, is_refusal=log.is_refusal)
        elif calls_seen < len(log.call_pieces):
            pieces = log.call_pieces[calls_seen:]
            calls_seen = len(log.call_pieces)
            yield writer.calls(pieces)
        elif log.outcome is not None:
            if isinstance(log.outcome, AnswerFailed):
                if not log.has_begun:
                    raise log.outcome
                yield writer.failure(log.outcome)
            else:
                yield writer.end(log.outcome)
            return
        elif log.is_closed_here:
            return


def _question(call: Call) -> str:
    """Return what a conversation that is kept shows as the question: the text of the last message of the user."""
    texts = [message.text for message in call.messages if message.role == "user"]
    return texts[-1] if texts and texts[-1].strip() else "…"
