"""A plain call: one request, one response, and the same again where that may help."""

from typing import TypeVar

from b2b_chat_client.call import Call
from b2b_chat_client.errors import B2BChatError
from b2b_chat_client.responses import value_of
from b2b_chat_client.retrying import Retries
from b2b_chat_client.steps import Close, Flow, Wait, opened, read_all

T = TypeVar("T")


def calling(call: Call[T], retries: Retries) -> Flow[T]:
    """Return what a call is for."""
    request = call.request()
    while True:
        try:
            head = yield from opened(request)
            body = yield from read_all()
            return value_of(head, body, call.into)
        except B2BChatError as error:
            seconds = retries.seconds_after(error)
        yield Close()
        yield Wait(seconds)
