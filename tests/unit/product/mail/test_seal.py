from b2b_chat.kit.settings import Secret
from b2b_chat.product.mail.service import Seal

FIRST, SECOND, THIRD = (Secret(letter * 40) for letter in "abc")
FIELDS = {"code": "123456", "name": "Ромашка"}


def test_what_was_sealed_can_be_opened_and_not_read() -> None:
    sealed = Seal(FIRST, None).close(FIELDS)
    assert b"123456" not in sealed
    assert Seal(FIRST, None).open(sealed) == FIELDS


def test_the_same_is_sealed_differently_each_time() -> None:
    assert Seal(FIRST, None).close(FIELDS) != Seal(FIRST, None).close(FIELDS)


def test_a_secret_may_be_rotated_once() -> None:
    sealed = Seal(FIRST, None).close(FIELDS)
    assert Seal(SECOND, FIRST).open(sealed) == FIELDS
    assert Seal(THIRD, SECOND).open(sealed) is None


def test_what_was_changed_is_not_opened() -> None:
    sealed = bytearray(Seal(FIRST, None).close(FIELDS))
    sealed[-1] ^= 1
    assert Seal(FIRST, None).open(bytes(sealed)) is None
    assert Seal(FIRST, None).open(b"") is None
