"""The form of an API key."""

import hashlib
import string

from hypothesis import assume, given
from hypothesis import strategies as st

from b2b_chat.product.identity.key_form import KEY_PREFIX, SHOWN_CHARACTERS, hash_api_key, is_well_formed, new_api_key

positions = st.integers(len(KEY_PREFIX), 51)


def test_new_keys_are_well_formed_and_differ() -> None:
    keys = {new_api_key() for _ in range(200)}
    assert len(keys) == 200
    assert all(is_well_formed(key) for key in keys)
    assert all(key.startswith(KEY_PREFIX) and len(key) == 52 for key in keys)


def test_what_is_shown_does_not_help_to_guess_the_rest() -> None:
    assert len(new_api_key()) - SHOWN_CHARACTERS >= 32 + 8


@given(positions, st.sampled_from(string.hexdigits.lower()))
def test_a_mistyped_character_is_noticed(position: int, character: str) -> None:
    key = new_api_key()
    assume(key[position] != character)
    assert not is_well_formed(key[:position] + character + key[position + 1 :])


@given(positions)
def test_two_swapped_characters_are_noticed(position: int) -> None:
    key = new_api_key()
    assume(position < 51 and key[position] != key[position + 1])
    assert not is_well_formed(key[:position] + key[position + 1] + key[position] + key[position + 2 :])


@given(st.text() | st.from_regex(r"b2b_[0-9a-f]{48}", fullmatch=True))
def test_any_other_text_is_no_key(text: str) -> None:
    # Of 2^32 texts of the right form one has the right checksum by chance.
    assert not is_well_formed(text)


def test_only_the_very_key_is_one() -> None:
    key = new_api_key()
    for other in ("", key + "\n", " " + key, key.upper(), key[:-1], key + "0", key.replace("b2b_", "B2B_")):
        assert not is_well_formed(other)


def test_at_rest_it_is_a_sha_256() -> None:
    key = new_api_key()
    assert hash_api_key(key) == hashlib.sha256(key.encode()).digest()
