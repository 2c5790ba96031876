"""How an answer is put together from what connections bring, step by step, without a network."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import pytest

from b2b_chat_client.answering import answering
from b2b_chat_client.errors import AnswerFailed, B2BChatError, ConnectionFailed, InvalidRequest, ServerFailed
from b2b_chat_client.events import Delta, Final, Restart, Start, StreamEvent
from b2b_chat_client.reading import Message, Reading
from b2b_chat_client.retrying import Retries
from b2b_chat_client.steps import Emit, Head, Open, Read, ReadAll, Request, Wait, resumed

IDS = {"conversation_id": UUID(int=1), "user_message_id": UUID(int=2), "assistant_message_id": UUID(int=3)}
ANSWER_PATH = f"/v1/chat/{UUID(int=3)}/events?restart=true"
TEXT = "Границы — и 🙂 точка."
CUT = ConnectionFailed("cut")


def sent(name: str, event_id: str, **data: Any) -> bytes:
    return f"id: {event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()


START = sent("start", "1-0", **{name: str(value) for name, value in IDS.items()})


def delta(text: str, offset: int, attempt: int = 1) -> bytes:
    return sent("delta", f"{attempt}-{offset}", text=text)


def final(text: str = TEXT, attempt: int = 1) -> bytes:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    end = {"status": "completed", "text": text, "usage": usage, "charge_credits": "0.5", "balance_credits": "9.5"}
    return sent("final", f"{attempt}-{len(text)}-end", **end)


def error(code: str, event_id: str = "1-0-end", *, retryable: bool = True) -> bytes:
    return sent("error", event_id, detail={"code": code, "message": "No.", "retryable": retryable, "request_id": "r"})


def refusal(status: int, code: str, headers: dict[str, str] | None = None, *, retryable: bool = True) -> "Answered":
    detail = {"code": code, "message": "No.", "retryable": retryable, "request_id": "r"}
    return Answered(status, [json.dumps({"detail": detail}).encode()], headers=headers)


@dataclass
class Answered:
    """One response: its status, the chunks of its body, and whether it is cut after them."""

    status: int = 200
    chunks: Sequence[bytes] = ()
    is_cut: bool = False
    headers: dict[str, str] | None = None


class Played:
    """A reader, and the server's responses to it in turn."""

    def __init__(self, *responses: Answered | B2BChatError, max_retries: int = 3, message: bool = True) -> None:
        self.responses = list(responses)
        self.reading = Reading(Message("mine", "Hello") if message else None, None if message else UUID(int=3))
        self.retries = Retries(max_retries, Random(1))
        self.requests: list[Request] = []
        self.events: list[StreamEvent] = []
        self.waits: list[float] = []
        self._chunks: list[bytes | B2BChatError] = []

    def read(self) -> "Played":
        flow = answering(self.reading, self.retries)
        step = next(flow)
        while True:
            try:
                step = resumed(flow, self._result_of(step))
            except StopIteration:
                return self

    def _result_of(self, step: object) -> object:
        match step:
            case Open(request):
                self.requests.append(request)
                response = self.responses.pop(0)
                if isinstance(response, B2BChatError):
                    return response
                self._chunks = [*response.chunks, *([CUT] if response.is_cut else [])]
                return Head(response.status, response.headers or {})
            case Read():
                return self._chunks.pop(0) if self._chunks else b""
            case ReadAll():
                return b"".join(chunk for chunk in self._chunks if isinstance(chunk, bytes))
            case Wait(seconds):
                self.waits.append(seconds)
            case Emit(event):
                self.events.append(event)
        return None

    @property
    def shown(self) -> list[str]:
        """The pieces of text, and the names of the other events."""
        return [event.text if isinstance(event, Delta) else type(event).__name__ for event in self.events]

    @property
    def asked(self) -> list[tuple[str, str | None]]:
        """The requests: their method, and after which event."""
        return [(request.method, request.headers.get("Last-Event-ID")) for request in self.requests]


WHOLE = START + delta(TEXT[:7], 7) + delta(TEXT[7:], len(TEXT)) + final()


def test_a_stream_that_is_not_cut() -> None:
    played = Played(Answered(chunks=[b"retry: 1000\n\n", WHOLE])).read()
    assert played.shown == ["Start", TEXT[:7], TEXT[7:], "Final"]
    assert (played.reading.text, played.waits, played.asked) == (TEXT, [], [("POST", None)])
    assert json.loads(played.requests[0].body or b"") == {
        "client_message_id": "mine",
        "text": "Hello",
        "conversation_id": None,
        "stream": True,
        "restart": True,
    }


@pytest.mark.parametrize("is_cut", [True, False], ids=["broken", "ended"])
def test_a_cut_anywhere_loses_and_doubles_nothing(is_cut: bool) -> None:
    for at in range(len(WHOLE)):
        played = Played(Answered(chunks=[WHOLE[:at]], is_cut=is_cut))
        had = [piece for piece in (7, len(TEXT)) if delta("", piece)[:6] in WHOLE[:at] and _complete(WHOLE[:at], piece)]
        offset = had[-1] if had else 0
        rest = b"" if offset == len(TEXT) else delta(TEXT[offset:], len(TEXT))
        played.responses.append(Answered(chunks=[(b"" if START in WHOLE[:at] else START) + rest + final()]))
        played.read()
        assert played.reading.text == TEXT
        assert "".join(event.text for event in played.events if isinstance(event, Delta)) == TEXT, at
        assert [type(event) for event in played.events if not isinstance(event, Delta)] == [Start, Final], at


def _complete(part: bytes, offset: int) -> bool:
    text = TEXT[:7] if offset == 7 else TEXT[7:]
    return delta(text, offset) in part


def test_a_cut_stream_is_followed_after_its_last_event() -> None:
    played = Played(
        Answered(chunks=[START + delta(TEXT[:7], 7)], is_cut=True), Answered(chunks=[delta(TEXT[7:], 20), final()])
    ).read()
    assert played.asked == [("POST", None), ("GET", "1-7")]
    assert played.requests[1].path == ANSWER_PATH
    assert len(played.waits) == 1


def test_without_the_ids_the_message_is_sent_again_under_its_id() -> None:
    played = Played(ConnectionFailed("refused"), Answered(chunks=[b"id: 1-"], is_cut=True), Answered(chunks=[WHOLE]))
    played.read()
    assert [request.method for request in played.requests] == ["POST"] * 3
    assert len({request.body for request in played.requests}) == 1


def test_what_is_sent_twice_is_shown_once() -> None:
    played = Played(
        Answered(chunks=[START + delta(TEXT[:7], 7)], is_cut=True),
        Answered(chunks=[START + delta(TEXT[:12], 12) + delta(TEXT[12:], len(TEXT)) + final()]),
    ).read()
    assert played.shown == ["Start", TEXT[:7], TEXT[7:12], TEXT[12:], "Final"]


def test_a_piece_after_a_gap_is_not_shown_but_requested_again() -> None:
    played = Played(
        Answered(chunks=[START + delta(TEXT[:7], 7) + delta(TEXT[9:], len(TEXT)) + final()]),
        Answered(chunks=[delta(TEXT[7:], len(TEXT)) + final()]),
    ).read()
    assert played.shown == ["Start", TEXT[:7], TEXT[7:], "Final"]
    assert played.asked[1] == ("GET", "1-7")


def test_any_number_of_cuts_is_survived_while_something_new_comes() -> None:
    cuts = [Answered(chunks=[delta(letter, place + 1)], is_cut=True) for place, letter in enumerate(TEXT)]
    cuts[0].chunks = [START, *cuts[0].chunks]
    played = Played(*cuts, Answered(chunks=[final()]), max_retries=1).read()
    assert played.reading.text == TEXT


def test_cuts_without_anything_new_are_bounded() -> None:
    played = Played(Answered(chunks=[START], is_cut=True), *[CUT] * 9, max_retries=3)
    with pytest.raises(ConnectionFailed) as caught:
        played.read()
    assert len(played.requests) == 4
    assert caught.value.client_message_id == "mine"
    assert caught.value.assistant_message_id == str(UUID(int=3))
    assert played.waits == sorted(played.waits)


def test_streams_that_end_before_their_answer_are_bounded() -> None:
    with pytest.raises(ConnectionFailed):
        Played(Answered(chunks=[START]), *[Answered()] * 9, max_retries=3).read()


def test_a_failed_answer_is_asked_for_again_and_its_text_is_void() -> None:
    played = Played(
        Answered(chunks=[START + delta(TEXT[:7], 7) + error("answer_cut", "1-7-end")]),
        Answered(chunks=[sent("restart", "2-0", attempt=2) + delta(TEXT, len(TEXT), 2) + final(attempt=2)]),
    ).read()
    assert played.asked == [("POST", None), ("POST", "1-7")]
    assert played.events[2] == Restart(2)
    assert played.shown == ["Start", TEXT[:7], "Restart", TEXT, "Final"]
    assert played.reading.text == TEXT


def test_a_new_attempt_before_any_text_is_no_event() -> None:
    played = Played(
        Answered(chunks=[START + error("answer_cut")]),
        Answered(chunks=[START.replace(b"1-0", b"2-0") + delta(TEXT, len(TEXT), 2) + final(attempt=2)]),
    ).read()
    assert played.shown == ["Start", TEXT, "Final"]


def test_failures_of_an_answer_are_bounded_even_if_text_came() -> None:
    attempts = [
        Answered(chunks=[delta("ab", 2, attempt) + error("answer_cut", f"{attempt}-2-end")]) for attempt in range(1, 9)
    ]
    played = Played(*attempts, max_retries=2)
    with pytest.raises(AnswerFailed) as caught:
        played.read()
    assert (len(played.requests), caught.value.code, caught.value.request_id) == (3, "answer_cut", "r")


def test_a_final_failure_is_raised_at_once() -> None:
    with pytest.raises(AnswerFailed):
        Played(Answered(chunks=[START + error("content_filtered", retryable=False)])).read()
    with pytest.raises(InvalidRequest) as caught:
        Played(refusal(422, "text_too_long", retryable=False)).read()
    assert caught.value.client_message_id == "mine"


def test_a_followed_answer_that_failed_is_not_sent_again() -> None:
    played = Played(Answered(chunks=[START + error("answer_cut")]), message=False)
    with pytest.raises(AnswerFailed):
        played.read()
    assert [request.path for request in played.requests] == [ANSWER_PATH]


def test_the_server_says_how_long_to_wait() -> None:
    played = Played(refusal(429, "rate_limited", {"retry-after": "7"}), Answered(chunks=[WHOLE])).read()
    (waited,) = played.waits
    assert 7 <= waited <= 7.7


def test_a_wait_that_is_too_long_is_left_to_the_caller() -> None:
    played = Played(refusal(503, "gateway_unavailable", {"retry-after": "3600"}))
    with pytest.raises(ServerFailed) as caught:
        played.read()
    assert caught.value.retry_after_seconds == 3600


def test_a_proxys_own_error_is_tried_again() -> None:
    played = Played(Answered(502, [b"<html>Bad Gateway</html>"]), Answered(chunks=[WHOLE])).read()
    assert played.reading.text == TEXT
    with pytest.raises(ServerFailed) as caught:
        Played(Answered(500, [b"<html>"])).read()
    assert (caught.value.code, caught.value.retryable) == ("http_500", False)


def test_the_reader_ends_with_the_stored_text() -> None:
    longer = Played(Answered(chunks=[START + delta(TEXT[:7], 7) + final()])).read()
    assert longer.shown == ["Start", TEXT[:7], TEXT[7:], "Final"]
    other = Played(Answered(chunks=[START + delta("Other", 5) + final()])).read()
    assert other.shown == ["Start", "Other", "Restart", TEXT, "Final"]
    assert longer.reading.text == other.reading.text == TEXT


def test_the_id_of_an_answer_is_known_from_its_failure() -> None:
    located = f"/v1/chat/{UUID(int=3)}/events"
    played = Played(refusal(503, "gateway_unavailable", {"content-location": located}), max_retries=0)
    with pytest.raises(ServerFailed) as caught:
        played.read()
    assert caught.value.assistant_message_id == str(UUID(int=3))


def test_events_of_a_later_release_are_skipped() -> None:
    played = Played(Answered(chunks=[START + sent("message", "x") + sent("tool", "1-0") + delta(TEXT, 20) + final()]))
    assert played.read().shown == ["Start", TEXT, "Final"]
