"""An answer, read to its end over as many connections as that takes."""

from typing import Final

from b2b_chat_client.errors import B2BChatError, ConnectionFailed, UnexpectedResponse
from b2b_chat_client.events import Final as FinalEvent
from b2b_chat_client.reading import Reading
from b2b_chat_client.responses import error_of
from b2b_chat_client.retrying import Retries
from b2b_chat_client.sse import Decoder
from b2b_chat_client.steps import Close, Emit, Flow, Wait, opened, read, read_all

_OK: Final = 200
_NO_CONTENT: Final = 204


def answering(reading: Reading, retries: Retries) -> Flow[None]:
    """Show an answer's events to its reader, each once, up to `Final`.

    The retries count failures in a row; a stream that brings something new is no failure, however often it is cut.
    """
    while reading.answer is None:
        try:
            yield from _one_stream(reading, retries)
        except B2BChatError as error:
            reading.has_failed(error)
            seconds = retries.seconds_after(error)
        else:
            seconds = 0.0
        yield Close()
        if seconds:
            yield Wait(seconds)


def _one_stream(reading: Reading, retries: Retries) -> Flow[None]:
    head = yield from opened(reading.request())
    reading.located(head.headers.get("content-location"))
    if head.status == _NO_CONTENT:
        raise UnexpectedResponse("The server says that this answer was read to its end.")
    if head.status != _OK:
        body = yield from read_all()
        raise error_of(head, body)
    decoder = Decoder()
    while chunk := (yield from read()):
        for event in decoder.feed(chunk):
            for news in reading.take(event):
                retries.progressed()
                yield Emit(news)
                if isinstance(news, FinalEvent):
                    return
    raise ConnectionFailed("The stream ended before the answer did.")
