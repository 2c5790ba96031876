"""Signed calls that were changed in any way since: none is let in."""

import os
import secrets
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import HealthCheck, assume, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from support.gateway.door import LET_IN, NOW, Door, signed

SEED = int(os.environ.get("HYPOTHESIS_SEED") or secrets.randbits(32))


class Call(NamedTuple):
    """A request as a server hands it over."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "post"])
targets = st.sampled_from(
    ["/", "/v1/chat", "/v1/%63hat", "/v1/chat?a=1", "/v1/chat?b=%20&b=+", "//x/../y", "/~.-_=&+/é", "/v1/chat?a?b"]
)
far_times = st.integers(0, NOW - 61) | st.integers(NOW + 61, 10**15 - 1)
names = st.sampled_from([b"x-timestamp", b"x-nonce", b"x-signature"])


@st.composite
def valid_calls(draw: st.DrawFn) -> Call:
    method, target, body = draw(methods), draw(targets), draw(st.binary(max_size=40))
    now = NOW + draw(st.integers(-60, 60))
    return Call(method, target, signed(method, target, body, now=now), body)


def edited(draw: st.DrawFn, value: bytes) -> bytes:
    """Other bytes: one changed, one more, one less, or all different."""
    place = draw(st.integers(0, max(len(value) - 1, 0)))
    edits: list[Callable[[], bytes]] = [
        lambda: (
            value[:place] + bytes([value[place] ^ draw(st.integers(1, 255))]) + value[place + 1 :] if value else b"x"
        ),
        lambda: value[:place] + draw(st.binary(min_size=1, max_size=3)) + value[place:],
        lambda: value[:place] + value[place + 1 :],
        lambda: draw(st.binary(max_size=80)),
        value.swapcase,
    ]
    return draw(st.sampled_from(edits))()


@st.composite
def mutated_calls(draw: st.DrawFn) -> Call:
    """A valid call in which one thing was changed since it was signed."""
    call = draw(valid_calls())
    mutated = mutate(draw, call, draw(names))
    assume(not same_call(call, mutated) and mutated.target != "/health")
    return mutated


def mutate(draw: st.DrawFn, call: Call, name: bytes) -> Call:
    """Change method, target or body, or something about the header of this name."""
    method, target, headers, body = call
    value = dict(headers)[name]
    others = [header for header in headers if header[0] != name]
    changes: dict[str, Callable[[], Call]] = {
        "method": lambda: call._replace(method=draw(methods)),
        "target": lambda: call._replace(target="/" + edited(draw, target[1:].encode()).decode("latin-1")),
        "body": lambda: call._replace(body=edited(draw, body)),
        "header": lambda: call._replace(headers=[*others, (name, edited(draw, value))]),
        "absent": lambda: call._replace(headers=others),
        "twice": lambda: call._replace(headers=draw(st.permutations([*headers, (name, value)]))),
        "another": lambda: call._replace(headers=draw(st.permutations([*headers, (name, edited(draw, value))]))),
        "moved": lambda: call._replace(headers=[*others[1:], (others[0][0], value), (name, others[0][1])]),
        "secret": lambda: call._replace(headers=signed(method, target, body, secret=draw(st.text(max_size=40)))),
        "time": lambda: call._replace(headers=signed(method, target, body, now=draw(far_times))),
    }
    return changes[draw(st.sampled_from(sorted(changes)))]()


def same_call(one: Call, other: Call) -> bool:
    """Whether both are the same to a server, for which an empty query does not exist."""
    return (one.method, one.target.rstrip("?"), sorted(one.headers), one.body) == (
        other.method,
        other.target.rstrip("?"),
        sorted(other.headers),
        other.body,
    )


@seed(SEED)
@hypothesis_settings(max_examples=200, deadline=None)
@given(call=valid_calls())
async def test_a_valid_call_is_let_in(call: Call) -> None:
    assert await Door().knock(*call) == LET_IN


@seed(SEED)
@hypothesis_settings(max_examples=2100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(call=mutated_calls())
async def test_no_call_is_let_in_that_was_changed_since_it_was_signed(call: Call) -> None:
    print(f"HYPOTHESIS_SEED={SEED}")  # noqa: T201 - shown by pytest when the test fails, to repeat it
    door = Door()
    status, code = await door.knock(*call)
    assert (status, door.inside.bodies) == (401, [])
    assert code in {"missing_signature", "malformed_signature", "invalid_signature", "stale_timestamp"}
