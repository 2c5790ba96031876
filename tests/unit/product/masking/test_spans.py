import itertools
import random

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span, resolve


def test_the_higher_rank_wins_and_the_rest_of_the_loser_stays_covered() -> None:
    text = "Иванов ivan@example.com конец"
    spans = [Span(0, 23, Kind.PERSON, 10), Span(7, 23, Kind.EMAIL, 60)]
    assert [(span.start, span.end, span.kind) for span in resolve(text, spans)] == [
        (0, 6, Kind.PERSON),
        (7, 23, Kind.EMAIL),
    ]


def test_spans_of_one_kind_that_overlap_become_one() -> None:
    assert [span[:3] for span in resolve("a" * 20, [Span(0, 8, Kind.PHONE, 5), Span(4, 12, Kind.PHONE, 9)])] == [
        (0, 12, Kind.PHONE)
    ]


def test_adjacent_spans_stay_two() -> None:
    spans = [Span(0, 3, Kind.NAME, 1), Span(3, 6, Kind.NAME, 1)]
    assert resolve("abcdef", spans) == spans


def test_nothing_that_was_found_is_left_readable_and_nothing_overlaps() -> None:
    source = random.Random(3)
    text = "".join(source.choice("аб1 .") for _ in range(60))
    for _ in range(500):
        spans = []
        for _ in range(source.randint(1, 9)):
            start = source.randrange(59)
            spans.append(Span(start, source.randint(start + 1, 60), source.choice(list(Kind)), source.randrange(4)))
        standing = resolve(text, spans)
        assert all(a.end <= b.start for a, b in itertools.pairwise(standing))
        covered = {position for span in standing for position in range(span.start, span.end)}
        wanted = {position for span in spans for position in range(span.start, span.end) if text[position].isalnum()}
        assert wanted <= covered
