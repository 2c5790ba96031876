"""Traces that are off cost nothing and import nothing; those that are on hold names and codes alone."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from b2b_chat.kit.tracing import Span, exported, outgoing_headers, serving, span
from support.processes.waiting import until
from support.telemetry.collector import Collector, SeenSpan

TRACEPARENT = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


def test_off_there_are_no_spans_and_nothing_is_imported() -> None:
    code = (
        "import sys, b2b_chat.gateway.app, b2b_chat.product.app; from b2b_chat.kit import tracing; "
        "assert tracing.span('x', 'client', dict) is tracing.serving([], {}); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_no_op_span_accepts_everything() -> None:
    with serving([TRACEPARENT], {"a": 1}) as nothing:
        nothing.set({"b": "2"})
        nothing.answered("GET", "/x", 500)
        assert outgoing_headers() == {}


async def recorded(work: Any, *, count: int) -> list[SeenSpan]:
    """What a collector gets of a piece of work."""
    async with Collector().listening() as collector:
        async with exported("test_app", collector.url):
            await work()

        async def arrived() -> bool:
            return len(collector.spans) == count

        await until(arrived)
        return collector.spans


async def test_spans_are_children_of_the_enclosing_span() -> None:
    async def work() -> None:
        with serving([(b"host", b"x"), TRACEPARENT], {}) as server:
            with span("outer", "client", dict):
                await asyncio.create_task(inner())
            with span("sibling", "client", dict):
                pass
            server.answered("GET", "/template", 200)

    async def inner() -> None:
        with span("inner", "client", dict):
            pass

    spans = {each.name: each for each in await recorded(work, count=4)}
    assert {each.trace_id for each in spans.values()} == {"4bf92f3577b34da6a3ce929d0e0e4736"}
    assert spans["GET /template"].parent_id == "00f067aa0ba902b7"
    assert spans["outer"].parent_id == spans["sibling"].parent_id == spans["GET /template"].id
    assert spans["inner"].parent_id == spans["outer"].id
    assert not any(each.is_failed for each in spans.values())


class Coded(Exception):
    """A failure with a name of its own."""

    code = "its_code"


@pytest.mark.parametrize(
    ("error", "told"),
    [(Coded("canary"), "its_code"), (ValueError("canary"), "ValueError"), (OSError(2, "canary"), "FileNotFoundError")],
)
async def test_an_exception_leaves_its_name_and_never_its_words(error: Exception, told: str) -> None:
    async def work() -> None:
        with pytest.raises(type(error)), span("failing", "client", dict):
            raise error

    (seen,) = await recorded(work, count=1)
    assert (seen.is_failed, seen.attributes, seen.events) == (True, {"error.type": told}, [])


async def test_an_invalid_trace_of_a_client_begins_a_new_one() -> None:
    async def work() -> None:
        with serving([(b"traceparent", b"\xff' OR 1=1")], {}):
            pass

    (seen,) = await recorded(work, count=1)
    assert seen.parent_id == ""


async def test_an_unreachable_collector_stops_no_app() -> None:
    async with exported("test_app", Collector().url):
        with span("lost", "client", dict) as lost:
            assert type(lost) is not Span
