from b2b_chat.sandbox.openai_simulator.observations import Observations


def test_only_the_last_calls_are_kept() -> None:
    observations = Observations(kept=2)
    for path in ("/1", "/2", "/3"):
        observations.begin("POST", path, authorization_present=True)

    assert [(seen.number, seen.path) for seen in observations.shown()] == [(2, "/2"), (3, "/3")]


def test_attempts_are_counted_by_key_until_forgotten() -> None:
    observations = Observations(kept=2)

    assert [observations.count_attempt(key) for key in "aab"] == [1, 2, 1]
    observations.forget()
    assert observations.count_attempt("a") == 1
    assert observations.shown() == []


def test_an_end_is_noted_with_its_moment() -> None:
    seen = Observations(kept=1).begin("POST", "/", authorization_present=False)
    seen.end("client_gone")

    assert seen.outcome == "client_gone"
    assert seen.client_gone_monotonic_seconds == seen.ended_monotonic_seconds is not None
