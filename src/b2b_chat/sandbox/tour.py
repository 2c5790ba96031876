"""The tour: retry, cut answers, outage, stop and empty balance, each with the real call and response."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final
from uuid import uuid4

import httpx

from b2b_chat.contract.sse import Decoder
from b2b_chat.sandbox.errors import SandboxError

NEEDS_THE_SIMULATOR: Final = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GATEWAY_URL")
"""With one of these set no simulator runs, and nothing else fails on request."""
SETTINGS: Final = {"OPENAI_SIMULATOR_TOKENS_PER_SECOND": "100", "UPSTREAM_MAX_ATTEMPTS": "2"}
"""A readable pace, and a gateway that gives an upstream up after two attempts."""

_TIMEOUT_SECONDS: Final = 120
_MAX_EVENT_BYTES: Final = 1024 * 1024
_MAX_REPEATS: Final = 5
_DELTAS_BEFORE_STOP: Final = 8
_SHOWN_CHARACTERS: Final = 60
_SHOWN: Final = (
    "detail", "code", "message", "retryable", "status", "finish_reason", "text", "usage", "completion_tokens",
    "estimated", "charge_credits", "balance_credits", "assistant_message_id", "attempt",
)  # fmt: skip
"""The fields that the tour shows. The others would hide them."""

Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Tour:
    """A guide that calls product_api as a client does, and prints the responses.

    Args:
        client: Sends to product_api with the key of a company that has credits.
        poor_key: The API key of a company without credits.
        write: Shows a piece of text at once.
    """

    client: httpx.Client
    poor_key: str
    write: Callable[[str], None]

    def walk(self) -> None:
        """Show all six.

        Raises:
            SandboxError: A response was not the one that the tour explains.
        """
        try:
            stops = (self._retry, self._restart, self._cut, self._outage, self._stop, self._poverty)
            for number, stop in enumerate(stops, 1):
                self.write(f"\n{number}. {(stop.__doc__ or '').strip()}\n")
                stop()
        except httpx.HTTPError as error:
            raise SandboxError(f"product_api broke off the tour: {type(error).__name__} {error}") from error

    def _retry(self) -> None:
        """A retry: the response was lost, so the client sends the message again. One answer, one charge."""
        message = _message("What is a gateway?")
        first = self._send(message)
        again = self._send(message)
        self._explain("Both are the same answer under the same id, and the balance has not moved.", again == first)

    def _restart(self) -> None:
        """A cut answer: the upstream breaks off in mid-answer. The answer is begun anew by itself, on one stream."""
        message = _message("Name three rivers.", _cut_once(), stream=True, restart=True)
        events = self._follow(message)
        names = [name for name, _ in events]
        self._explain(
            "With `restart` the reader drops the text before that event. Only the whole answer is charged.",
            names.count("restart") == 1 and names[-1] == "final",
        )

    def _cut(self) -> None:
        """A cut answer without `restart`: the stream ends with an error, and the answer goes on. Sending fetches it."""
        message = _message("Name three lakes.", _cut_once(), stream=True)
        cut = self._follow(message)
        whole = self._follow(message)
        self._explain(
            "The stream never ends as if it were whole. The same message has the same ids, and its whole answer.",
            cut[-1][0] == "error" and whole[-1][0] == "final" and cut[0][1] == whole[0][1],
        )

    def _outage(self) -> None:
        """An outage: the upstream answers 503. The client gets a retryable error, and repeats until it is over."""
        message = _message("What is a border?", f"status=503; fail_times=2; key={uuid4().hex[:8]}")
        answers = [self._send(message)]
        while "detail" in answers[-1] and len(answers) <= _MAX_REPEATS:
            answers.append(self._send(message))
        self._explain(
            "The failed message cost nothing. The same message was answered after the outage, and charged once.",
            len(answers) > 1 and answers[-1].get("status") == "completed",
        )

    def _stop(self) -> None:
        """A stop: the reader has read enough. The text so far is kept, and only that much is charged."""
        events: list[Event] = []
        message = _message("Tell me a long story.", "tokens=3000; tps=40", stream=True)
        self._show_call("POST", "/v1/chat", message)
        for event in self._events(message):
            events.append(event)
            if len(events) == _DELTAS_BEFORE_STOP:
                path = f"/v1/chat/{events[0][1]['assistant_message_id']}/stop"
                self._show_call("POST", path)
                self._show(self.client.post(path))
        self._show_event(events[-1])
        self._explain("The reader's stream ends with the same status.", events[-1][1].get("status") == "stopped")

    def _poverty(self) -> None:
        """An empty balance: a company without credits sends a message. It is refused before the model is called."""
        message = _message("Hello?")
        self._show_call("POST", "/v1/chat", message)
        refused = self.client.post("/v1/chat", json=message, headers={"Authorization": f"Bearer {self.poor_key}"})
        self._show(refused)
        is_refused = refused.status_code == httpx.codes.PAYMENT_REQUIRED
        self._explain("No balance goes below zero: the cost is held before an answer begins.", is_refused)

    def _send(self, message: dict[str, Any]) -> dict[str, Any]:
        self._show_call("POST", "/v1/chat", message)
        return self._show(self.client.post("/v1/chat", json=message))

    def _follow(self, message: dict[str, Any]) -> list[Event]:
        """Send a message and read its stream; every event is shown, and of deltas in a row only the number."""
        self._show_call("POST", "/v1/chat", message)
        events = list(self._events(message))
        for name, group in groupby(events, key=lambda event: event[0]):
            of_one_name = list(group)
            if name == "delta":
                self.write(f"   ← event: delta, {len(of_one_name)} times\n")
            else:
                self._show_event(of_one_name[0])
        return events

    def _events(self, message: dict[str, Any]) -> Iterator[Event]:
        decoder = Decoder(max_event_bytes=_MAX_EVENT_BYTES)
        with self.client.stream("POST", "/v1/chat", json=message) as answer:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                self._show(answer)
                raise SandboxError("The tour expected a stream.")
            for chunk in answer.iter_bytes():
                for event in decoder.feed(chunk):
                    yield event.name, json.loads(event.data)

    def _show_call(self, method: str, path: str, message: dict[str, Any] | None = None) -> None:
        body = "" if message is None else " " + json.dumps(message, ensure_ascii=False)
        self.write(f"   → {method} {path}{body}\n")

    def _show(self, answer: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        self.write(f"   ← {answer.status_code} {_shown(body)}\n")
        return body

    def _show_event(self, event: Event) -> None:
        name, data = event
        self.write(f"   ← event: {name} {_shown(data)}\n")

    def _explain(self, text: str, is_so: bool) -> None:
        if not is_so:
            raise SandboxError(f"The tour expected something else. It would have said: {text}")
        self.write(f"   {text}\n")


def run_tour(product_url: str, api_key: str, poor_key: str, write: Callable[[str], None]) -> None:
    """Walk through the faults at a running stack with the simulated OpenAI.

    Raises:
        SandboxError: A response was not the one that the tour explains.
    """
    headers = {"Authorization": f"Bearer {api_key}"}
    with httpx.Client(base_url=product_url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
        Tour(client, poor_key, write).walk()


def _cut_once() -> str:
    """Have the simulator break off the first attempt alone."""
    return f"cut_after=6; fail_times=1; key={uuid4().hex[:8]}"


def _message(text: str, wish: str = "", **options: bool) -> dict[str, Any]:
    """A message with an id of its own, and what the simulator shall do with it."""
    directed = f"{text} [[simulate: {wish}]]" if wish else text
    message = {"client_message_id": f"tour-{uuid4().hex[:8]}", "text": directed}
    return {**message, **options}


def _shown(body: dict[str, Any]) -> str:
    return json.dumps(_shortened(body), ensure_ascii=False)


def _shortened(body: dict[str, Any]) -> dict[str, Any]:
    """The fields worth showing, long texts cut."""
    shown: dict[str, Any] = {}
    for name, value in body.items():
        if name in _SHOWN:
            shown[name] = _shortened(value) if isinstance(value, dict) else value
            if name == "text" and len(value) > _SHOWN_CHARACTERS:
                shown[name] = value[:_SHOWN_CHARACTERS] + "…"
    return shown
