import hashlib
import hmac

from b2b_chat.kit.keyed_hash import KeyedHash, new_token
from b2b_chat.kit.settings import Secret

FIRST, SECOND = Secret("a" * 40), Secret("b" * 40)


def test_it_is_an_hmac() -> None:
    expected = hmac.new(b"a" * 40, b"session\0token", hashlib.sha256).digest()
    assert KeyedHash(FIRST, None, purpose="session").hash("token") == expected


def test_secret_purpose_and_text_all_matter() -> None:
    hashes = {
        KeyedHash(secret, None, purpose=purpose).hash(text)
        for secret in (FIRST, SECOND)
        for purpose in ("session", "invite")
        for text in ("one", "two", "")
    }
    assert len(hashes) == 12


def test_a_rotation_invalidates_nothing() -> None:
    before = KeyedHash(FIRST, None, purpose="session")
    after = KeyedHash(SECOND, FIRST, purpose="session")
    kept = before.hash("token")
    assert after.matches("token", kept)
    assert kept in after.candidates("token")
    assert after.hash("token") != kept
    assert not KeyedHash(SECOND, None, purpose="session").matches("token", kept)


def test_an_empty_previous_secret_counts_as_unset() -> None:
    assert len(KeyedHash(FIRST, Secret(""), purpose="session").candidates("token")) == 1


def test_tokens() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {43}
