"""However much one party wants, something is left for others."""

from itertools import cycle, islice

from b2b_chat.kit.shares import Shares


def fill(shares: Shares, *parties: str, places: int = 2000) -> dict[str, int]:
    """Let parties take what they can, one after the other."""
    taken = dict.fromkeys(parties, 0)
    for party in islice(cycle(parties), places):
        if shares.has_room_for(party):
            shares.take(party)
            taken[party] += 1
    return taken


def test_one_that_is_alone_gets_its_share() -> None:
    assert fill(Shares(1000, 80), "a") == {"a": 800}
    assert fill(Shares(1000, 100), "a") == {"a": 1000}


def test_one_that_comes_later_finds_room() -> None:
    shares = Shares(1000, 80)
    fill(shares, "hanging")
    assert fill(shares, "b")["b"] == 160
    assert fill(shares, "c")["c"] == 32
    assert shares.has_room_for("d")


def test_those_that_want_much_get_the_same() -> None:
    taken = fill(Shares(900, 80), "a", "b")
    assert taken["a"] == taken["b"] == 400


def test_everybody_may_have_one_until_none_is_left() -> None:
    shares = Shares(2, 80)
    for party in ("a", "b"):
        assert shares.has_room_for(party)
        shares.take(party)
    assert shares.is_full
    assert not shares.has_room_for("c")
    shares.give_back("a")
    assert shares.total == 1
    assert shares.has_room_for("c")
