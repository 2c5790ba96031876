from b2b_chat.sandbox.openai_simulator.player import Pace


def test_without_a_pace_nothing_waits() -> None:
    assert Pace(0).seconds_until_due(1, 100.0) == 0


def test_what_holds_no_delta_does_not_wait() -> None:
    pace = Pace(1)

    assert [pace.seconds_until_due(deltas, 100.0) for deltas in (1, 0, 1)] == [0, 0, 1]


def test_each_delta_is_due_by_the_first_ones_moment_however_late_the_last_was() -> None:
    pace = Pace(10)

    assert pace.seconds_until_due(1, 50.0) == 0
    assert round(pace.seconds_until_due(1, 50.07), 6) == 0.03
    assert round(pace.seconds_until_due(1, 50.5), 6) == -0.3
    assert round(pace.seconds_until_due(1, 50.25), 6) == 0.05


def test_a_burst_takes_the_time_of_its_deltas() -> None:
    pace = Pace(10)

    assert pace.seconds_until_due(5, 50.0) == 0
    assert round(pace.seconds_until_due(5, 50.0), 6) == 0.5


def test_a_pause_puts_off_the_rest() -> None:
    pace = Pace(10)
    pace.pause(9)
    pace.seconds_until_due(1, 50.0)
    pace.pause(2)

    assert round(pace.seconds_until_due(1, 52.0), 6) == 0.1
