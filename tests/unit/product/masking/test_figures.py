"""The bars that detection is held to, on the corpus and on texts made with other words."""

from pathlib import Path

import pytest

from support.masking import second_set
from support.masking.score import LABELS, NAMES, Score, load, score
from support.masking.texts import items

DATA = Path(__file__).parents[4] / "tests" / "data" / "masking"
CORPUS = DATA / "corpus.jsonl"
SHAPES = set(LABELS.values()) - NAMES - {"address"}


@pytest.fixture(scope="module", params=["corpus", "second", "third", "fourth", "made with seed 1", "made with seed 2"])
def figures(request: pytest.FixtureRequest) -> Score:
    if request.param == "corpus":
        return score(load(CORPUS))
    if request.param in ("second", "third", "fourth"):
        return score(second_set.items(folder=DATA / request.param))
    return score(items(int(request.param[-1])))


def test_shapes_and_check_digits(figures: Score) -> None:
    tally = figures.of(SHAPES)
    assert tally.recall >= 0.98, figures.misses
    assert tally.precision >= 0.98, figures.misses


def test_people(figures: Score) -> None:
    assert figures.of(["person"]).recall >= 0.95, figures.misses
    assert figures.of(["person_part"]).recall >= 0.93, figures.misses
    assert figures.of(NAMES).precision >= 0.97, figures.misses


def test_addresses(figures: Score) -> None:
    assert figures.of(["address"]).recall >= 0.95, figures.misses


def test_negatives(figures: Score) -> None:
    assert figures.negatives_hit <= 3, figures.misses
