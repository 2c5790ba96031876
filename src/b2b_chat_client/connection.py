"""Doing the steps of calls with httpx, waiting for each."""

import time
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import httpx

from b2b_chat_client.call import Call
from b2b_chat_client.calling import calling
from b2b_chat_client.configuration import Configuration, as_failure
from b2b_chat_client.errors import B2BChatError
from b2b_chat_client.events import StreamEvent
from b2b_chat_client.steps import Close, Emit, Flow, Head, Open, Read, ReadAll, Step, Wait, noted, resumed

T = TypeVar("T")


class Connection:
    """Sends requests to one server with one key.

    Args:
        configuration: Where to, and how.
        http: Sends the requests. The caller closes it.
    """

    def __init__(self, configuration: Configuration, http: httpx.Client) -> None:
        self.configuration = configuration
        self.http = http

    def call(self, call: Call[T]) -> T:
        """Return what a call is for."""
        return self.run(calling(call, self.configuration.retries(is_safe_to_repeat=call.is_safe_to_repeat)))

    def run(self, flow: Flow[T]) -> T:
        """Do a flow's steps up to its end; nobody is shown its events."""
        values: list[T] = []
        for _ in self.driving(noted(flow, values)):
            pass
        return values[0]

    def driving(self, flow: Flow[Any]) -> Generator[StreamEvent, None, None]:
        """Do a flow's steps and yield its events."""
        exchange = _Exchange(self.configuration, self.http)
        try:
            step = next(flow)
            while True:
                if isinstance(step, Emit):
                    yield step.event
                step = resumed(flow, exchange.result_of(step))
        except StopIteration:
            return
        finally:
            exchange.close()


class _Exchange:
    """The request that is under way."""

    def __init__(self, configuration: Configuration, http: httpx.Client) -> None:
        self._configuration = configuration
        self._http = http
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def result_of(self, step: Step) -> Head | bytes | B2BChatError | None:
        try:
            return self._do(step)
        except httpx.RequestError as error:
            return as_failure(error)

    def _do(self, step: Step) -> Head | bytes | None:
        match step:
            case Open(request):
                built = self._http.build_request(**self._configuration.arguments(request))
                self._response = self._http.send(built, stream=True)
                self._chunks = self._response.iter_bytes()
                return Head(self._response.status_code, dict(self._response.headers.items()))
            case Read():
                return next(self._chunks, b"")
            case ReadAll():
                body = b"".join(self._chunks)
                self.close()
                return body
            case Close():
                self.close()
            case Wait(seconds):
                time.sleep(seconds)
            case Emit():
                pass
        return None

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
