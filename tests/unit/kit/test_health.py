"""How readiness is determined: all parts at once, seldom, within a deadline, and reported by names alone."""

import asyncio

import pytest

from b2b_chat.kit.health import Check, NotReady, Readiness, draining_check


class Part:
    """A part whose checks are counted and answered as the test orders."""

    def __init__(self, answer: str | Exception | None = None, *, takes_seconds: float = 0.0) -> None:
        self.answer = answer
        self.asked = 0
        self._takes_seconds = takes_seconds

    async def __call__(self) -> str | None:
        self.asked += 1
        await asyncio.sleep(self._takes_seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def readiness(cache_seconds: float = 0.0, timeout_seconds: float = 5.0, **checks: Check) -> Readiness:
    return Readiness(checks, cache_seconds=cache_seconds, timeout_seconds=timeout_seconds)


async def parts_missing(probe: Readiness) -> list[str]:
    try:
        await probe.ensure()
    except NotReady as refusal:
        return refusal.message.removeprefix("Not ready: ").removesuffix(".").split(", ")
    return []


async def test_all_parts_that_are_missing_are_named_in_order() -> None:
    probe = readiness(one=Part(), two=Part(RuntimeError("canary")), three=Part("three_clock"), four=Part())
    assert await parts_missing(probe) == ["two", "three_clock"]


async def test_a_part_that_does_not_answer_is_missing() -> None:
    assert await parts_missing(readiness(timeout_seconds=0.01, slow=Part(takes_seconds=60))) == ["slow"]


async def test_a_finding_is_repeated_for_a_while() -> None:
    part = Part("broken")
    probe = readiness(cache_seconds=60, part=part)
    assert await parts_missing(probe) == ["broken"]
    part.answer = None
    assert await parts_missing(probe) == ["broken"]
    assert part.asked == 1


async def test_nothing_is_repeated_without_a_cache() -> None:
    part = Part("broken")
    probe = readiness(part=part)
    assert await parts_missing(probe) == ["broken"]
    part.answer = None
    assert await parts_missing(probe) == []


async def test_a_hundred_concurrent_probes_share_one_check() -> None:
    part = Part(takes_seconds=0.01)
    probe = readiness(cache_seconds=60, part=part)
    await asyncio.gather(*(probe.ensure() for _ in range(100)))
    assert part.asked == 1


@pytest.mark.parametrize("is_draining", [True, False])
async def test_a_process_that_drains_is_not_ready(*, is_draining: bool) -> None:
    probe = readiness(draining=draining_check(lambda: is_draining))
    assert await parts_missing(probe) == ["draining"] * is_draining
