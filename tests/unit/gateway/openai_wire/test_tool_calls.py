"""Calls of tools in answers: as OpenAI writes them, as others do, and what is no call."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b2b_chat.contract.content import FunctionCall, SentCalls, ToolCall, ToolCallPiece, joined_calls
from b2b_chat.gateway.errors import UpstreamFailure
from b2b_chat.gateway.openai_wire import StreamReader, read_whole
from support.openai.raw import DONE, USAGE, data, delta
from support.openai.wire import FIGURES, choice, code_of, whole

END = data({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})


def piece(*calls: Any) -> bytes:
    """A chunk with pieces of calls."""
    return data({"choices": [{"index": 0, "delta": {"tool_calls": list(calls)}}]})


def call(index: int | None = 0, id_: str | None = None, name: str | None = None, arguments: Any = None) -> Any:
    """A piece as OpenAI writes it."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    told = {"index": index, "id": id_, "type": "function" if id_ else None, "function": function}
    return {key: value for key, value in told.items() if value is not None}


def read(*chunks: bytes) -> tuple[list[ToolCallPiece], Any]:
    """The pieces on the way, and the result."""
    reader = StreamReader()
    pieces: list[ToolCallPiece] = []
    for chunk in chunks:
        reader.feed(chunk)
        pieces += reader.take_calls()
    reader.end()
    return pieces, reader.result()


STREAM = (
    piece(call(0, "call_a", "find", "")),
    piece(call(0, arguments='{"who"')),
    piece(call(0, arguments=':"Ann"}')),
    piece(call(1, "call_b", "tell", "")),
    piece(call(1, arguments="{}")),
)
CALLS = [
    ToolCall("call_a", FunctionCall("find", '{"who":"Ann"}')),
    ToolCall("call_b", FunctionCall("tell", "{}")),
]


def test_a_stream_of_calls_is_read_piece_by_piece() -> None:
    pieces, result = read(*STREAM, END, USAGE, DONE)
    assert pieces == [
        ToolCallPiece(0, "call_a", "find"),
        ToolCallPiece(0, arguments='{"who"'),
        ToolCallPiece(0, arguments=':"Ann"}'),
        ToolCallPiece(1, "call_b", "tell"),
        ToolCallPiece(1, arguments="{}"),
    ]
    assert (result.text, result.tool_calls, result.finish_reason, result.usage) == ("", CALLS, "tool_calls", FIGURES)


def test_text_may_come_before_calls() -> None:
    assert read(delta("Let me see."), *STREAM, END, DONE)[1].text == "Let me see."


@given(st.sets(st.integers(0, sum(map(len, STREAM)))))
def test_the_calls_are_the_same_however_the_bytes_are_cut(cuts: set[int]) -> None:
    stream = b"".join(STREAM)
    bounds = [0, *sorted(cuts), len(stream)]
    pieces, result = read(*[stream[start:end] for start, end in pairwise(bounds)], END + DONE)
    assert joined_calls(pieces) == result.tool_calls == CALLS


@given(st.integers(0, 5), st.integers(0, 13))
def test_what_a_reader_lacks_makes_its_calls_whole(seen: int, cut: int) -> None:
    pieces = read(*STREAM, END, DONE)[0][:seen]
    pieces.append(ToolCallPiece(0, "call_a", "find", CALLS[0].function.arguments[:cut])) if not seen else None
    sent = SentCalls()
    sent.note(pieces)
    assert joined_calls([*pieces, *sent.lacking(CALLS)]) == CALLS


ODD = {
    "no index, a new id begins a call": [
        call(None, "call_a", "find", '{"who":"Ann"}'),
        call(None, "call_b", "tell", "{}"),
    ],
    "no index, no id goes on": [
        call(None, "call_a", "find", '{"who"'),
        call(None, arguments=':"Ann"}'),
        call(None, "call_b", "tell", "{}"),
    ],
    "the name in every piece": [
        call(0, "call_a", "find", '{"who"'),
        call(0, "call_a", "find", ':"Ann"}'),
        call(1, "call_b", "tell", "{}"),
    ],
    "arguments before the name": [
        call(0, "call_a", None, '{"who"'),
        call(0, None, "find", ':"Ann"}'),
        call(1, "call_b", "tell", "{}"),
    ],
    "indexes that begin at one": [call(1, "call_a", "find", '{"who":"Ann"}'), call(2, "call_b", "tell", "{}")],
    "arguments as an object": [call(0, "call_a", "find", {"who": "Ann"}), call(1, "call_b", "tell", {})],
    "null calls between": [None, call(0, "call_a", "find", '{"who":"Ann"}'), None, call(1, "call_b", "tell", "{}")],
    "an index in words": [
        call(0, "call_a", "find", '{"who":"Ann"}') | {"index": "0"},
        call(1, "call_b", "tell", "{}") | {"index": "1"},
    ],
}


@pytest.mark.parametrize("calls", ODD.values(), ids=ODD)
def test_servers_that_write_calls_otherwise_are_read_too(calls: list[Any]) -> None:
    pieces, result = read(*map(piece, calls), END, DONE)
    assert joined_calls(pieces) == result.tool_calls == CALLS
    assert read(piece(*calls), END, DONE)[1].tool_calls == CALLS


def test_a_call_without_an_id_gets_one() -> None:
    assert [each.id for each in read(piece(call(0, None, "find", "{}")), END, DONE)[1].tool_calls] == ["call_1"]


def test_a_whole_answer_of_calls_is_no_empty_one() -> None:
    told = [{"id": "call_a", "type": "function", "function": {"name": "find", "arguments": '{"who":"Ann"}'}}]
    result = read_whole(whole(choices=choice(None, "tool_calls", tool_calls=told)))
    assert (result.text, result.finish_reason, result.tool_calls) == ("", "tool_calls", CALLS[:1])


MALFORMED = {
    "no list": {"tool_calls": {"id": "a"}},
    "no object": {"tool_calls": ["a"]},
    "no function": {"tool_calls": [{"index": 0, "function": "find"}]},
    "a number for a name": {"tool_calls": [{"index": 0, "function": {"name": 7}}]},
    "a list of arguments": {"tool_calls": [{"index": 0, "function": {"name": "a", "arguments": ["b"]}}]},
    "no name at all": {"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{}"}}]},
    "a name that no tool has": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "a b"}}]},
    "too many": {"tool_calls": [{"index": index, "function": {"name": "a"}} for index in range(129)]},
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
def test_what_cannot_be_read_as_calls_is_no_answer(said: dict[str, Any]) -> None:
    with pytest.raises(UpstreamFailure) as streamed:
        read(data({"choices": [{"delta": said}]}), END, DONE)
    with pytest.raises(UpstreamFailure) as at_once:
        read_whole(whole(choices=[{"message": said, "finish_reason": "tool_calls"}]))
    assert {code_of(streamed), code_of(at_once)} == {"upstream_malformed"}


def test_a_reason_without_calls_is_an_empty_answer() -> None:
    with pytest.raises(UpstreamFailure) as error:
        read(END, DONE)
    assert code_of(error) == "upstream_empty"


def test_calls_without_an_end_are_no_answer() -> None:
    reader = StreamReader()
    reader.feed(b"".join(STREAM))
    with pytest.raises(UpstreamFailure) as error:
        reader.result()
    assert code_of(error) == "upstream_truncated"


def test_a_refusal_is_named() -> None:
    refusal = data({"choices": [{"delta": {"refusal": "I would rather not."}}]})
    finish = data({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    assert read(refusal, finish, DONE)[1].refusal is True
    body = json.loads(whole())
    body["choices"][0]["message"] |= {"content": None, "refusal": "No."}
    result = read_whole(json.dumps(body).encode())
    assert (result.text, result.refusal) == ("No.", True)
