import math
from typing import Any

from b2b_chat.sandbox.openai_simulator.answers import compose
from b2b_chat.sandbox.openai_simulator.chat_request import ChatRequest, Message, StreamOptions
from b2b_chat.sandbox.openai_simulator.directives import Directives
from b2b_chat.sandbox.openai_simulator.events import DONE
from b2b_chat.sandbox.openai_simulator.script import Drop, Pause, Start, Step, Write, script_for


def script(*, stream: bool = True, tokens_per_second: float = 0, **asked: Any) -> list[Step]:
    options = StreamOptions(include_usage=True) if stream else None
    request = ChatRequest([Message("user", "Hi")], "gpt-5.2", stream=stream, stream_options=options)
    wish = Directives(**{"tokens": 4, **asked})
    answer = compose(request, "Hi", wish, seed=0, answer_tokens=0)
    return script_for(request, answer, wish, tokens_per_second=tokens_per_second)


def shape(steps: list[Step]) -> str:
    """Each step as a sign: headers H, a write of N deltas as N, a pause P, a drop D."""
    return "".join(
        str(step.deltas) if isinstance(step, Write) else {Start: "H", Pause: "P", Drop: "D"}[type(step)]
        for step in steps
    )


def test_a_stream_is_headers_the_role_deltas_the_reason_the_usage_and_the_end_mark() -> None:
    steps = script()

    assert shape(steps) == "H01111000"
    assert steps[-1] == Write(DONE)


def test_a_document_is_headers_and_one_write() -> None:
    assert shape(script(stream=False)) == "H0"


def test_a_document_takes_as_long_as_its_tokens() -> None:
    assert script(stream=False, tokens_per_second=8, first_token_delay_ms=250, delay_ms=250)[0] == Pause(1.0)


def test_replacements_of_a_reply() -> None:
    assert script(no_answer=True) == [Pause(math.inf)]
    assert script(close=True) == [Drop("close")]
    assert script(delay_ms=500, reset=True) == [Pause(0.5), Drop("reset")]


def test_a_slow_first_token_comes_after_the_role() -> None:
    assert shape(script(first_token_delay_ms=1)) == "H0P1111000"


def test_hidden_tokens_take_their_time_before_the_text() -> None:
    assert shape(script(reasoning_tokens=4)) == "H01111000"
    steps = script(reasoning_tokens=4, first_token_delay_ms=500, tokens_per_second=8)
    assert shape(steps) == "H0P1111000"
    assert Pause(1.0) in steps
    assert script(stream=False, reasoning_tokens=4, tokens_per_second=8)[0] == Pause(1.0)


def test_interruptions_come_at_once_after_their_delta() -> None:
    assert shape(script(stall_after=0)) == "H0P1111000"
    assert shape(script(stall_after=2)) == "H011P11000"
    assert shape(script(malformed_after=3)) == "H011101000"
    assert shape(script(cut_after=2)) == "H011D"
    assert shape(script(error_after=1)) == "H010"


def test_an_interruption_after_more_deltas_than_there_are_comes_after_the_last() -> None:
    assert shape(script(cut_after=99)) == "H01111D"


def test_two_interruptions_stand_in_their_order() -> None:
    assert shape(script(stall_after=1, cut_after=3)) == "H01P11D"


def test_bursts_join_what_stands_side_by_side() -> None:
    assert shape(script(burst=2)) == "H22"
    assert shape(script(burst=3)) == "H31"
    assert shape(script(burst=100)) == "H4"
    assert shape(script(burst=100, stall_after=1)) == "H1P3"


def test_a_burst_holds_the_same_bytes() -> None:
    def sizes(steps: list[Step]) -> int:
        return sum(len(step.data) for step in steps if isinstance(step, Write))

    assert sizes(script(burst=3)) == sizes(script())


def test_framing_leaves_pauses_where_they_are() -> None:
    assert shape(script(framing="crlf", stall_after=1)) == "H01P111000"


def test_split_framing_parts_a_character_and_keeps_the_count() -> None:
    steps = script(framing="split", text="🤖")

    assert shape(steps) == "H" + "0P0" + "0P1" + "0P0" * 3
    first = steps[4]
    assert isinstance(first, Write)
    assert first.data.endswith(b'"content":"\xf0')
