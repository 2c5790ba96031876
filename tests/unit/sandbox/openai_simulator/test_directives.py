from typing import get_args, get_type_hints

import pytest

from b2b_chat.sandbox.openai_simulator.api_errors import Refused
from b2b_chat.sandbox.openai_simulator.directives import Directives, read, read_prompt, understand
from b2b_chat.sandbox.openai_simulator.events import FRAMINGS, MALFORMED
from b2b_chat.sandbox.openai_simulator.script import IN_PLACE_OF_A_REPLY, INTERRUPTIONS


def test_pairs_are_read_with_and_without_values_and_spaces() -> None:
    assert read(" status = 503;retry_after=2 ; no_done;; ") == {"status": "503", "retry_after": "2", "no_done": "true"}


def test_a_value_may_hold_an_equals_sign() -> None:
    assert read("text=a=b") == {"text": "a=b"}


def test_a_plain_prompt_is_left_as_it_is() -> None:
    assert read_prompt(" How are [[you]]? ") == ({}, " How are [[you]]? ")


def test_directives_are_taken_out_of_a_prompt() -> None:
    asked, prompt = read_prompt("Hello [[simulate: tokens=3;\n tps=5]]there[[simulate: no_done]]")

    assert asked == {"tokens": "3", "tps": "5", "no_done": "true"}
    assert prompt == "Hello there"


def test_values_get_their_kinds() -> None:
    wish = understand({"tokens": "3", "tps": "2.5", "no_done": "true", "reset": "false", "retry_after": "soon"})

    assert (wish.tokens, wish.tps, wish.no_done, wish.reset, wish.retry_after) == (3, 2.5, True, False, "soon")


def test_text_may_hold_what_a_database_cannot_store() -> None:
    assert understand({"text": "a%00b%ED%A0%80%3B"}).text == "a\0b\ud800;"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"tokns": "3"}, "unknown field `tokns`"),
        ({"tokens": "many"}, "$.tokens"),
        ({"tokens": "-1"}, "$.tokens"),
        ({"status": "200"}, "$.status"),
        ({"framing": "xml"}, "$.framing"),
        ({"error": "toothache"}, "there is no error 'toothache'"),
        ({"fail_times": "2"}, "needs a key"),
        ({"text": "%FF"}, "percent-encoded"),
    ],
)
def test_a_mistake_is_reported(asked: dict[str, str], told: str) -> None:
    with pytest.raises(Refused) as refused:
        understand(asked)

    assert told in str(refused.value)
    assert refused.value.error.status == 400


def test_what_heals_keeps_the_wishes_for_the_answer_and_drops_the_fault() -> None:
    wish = understand({"key": "k", "fail_times": "1", "tokens": "7", "tps": "9", "burst": "2", "status": "500"})

    assert wish.healed == Directives(key="k", tokens=7, tps=9, burst=2)


def test_every_fault_of_the_tables_is_a_directive() -> None:
    names = set(Directives.__struct_fields__)
    hints = get_type_hints(Directives)

    assert names >= IN_PLACE_OF_A_REPLY.keys() | INTERRUPTIONS.keys()
    assert set(get_args(hints["framing"])) == FRAMINGS.keys()
    assert set(get_args(hints["malformed"])) == MALFORMED.keys()
