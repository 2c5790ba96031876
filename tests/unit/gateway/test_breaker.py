from b2b_chat.gateway.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(failures=3, open_seconds=10, clock=clock)
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(failures=3, open_seconds=10, clock=Clock())
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.is_closed
    breaker.failed()
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    assert not breaker.is_closed


def test_one_call_probes_after_a_while() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.seconds = 9.9
    assert not breaker.allows()
    clock.seconds = 10
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_probe_that_succeeds_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.seconds = 10
    breaker.allows()
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_a_failed_probe_opens_it_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.seconds = 10
    breaker.allows()
    breaker.failed()
    clock.seconds = 19.9
    assert not breaker.allows()
    clock.seconds = 20
    assert breaker.allows()


def test_an_inconclusive_probe_leaves_room_for_another() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.seconds = 10
    breaker.allows()
    breaker.abandoned()
    assert breaker.allows()
