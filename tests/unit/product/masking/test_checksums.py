import random
from collections.abc import Callable

import pytest

from b2b_chat.product.masking import checksums


@pytest.mark.parametrize(
    ("check", "valid"),
    [
        (checksums.luhn, ("4111111111111111", "5555555555554444", "378282246310005", "2200000000000004")),
        (checksums.inn, ("7707083893", "7736050003", "500100732259")),
        (checksums.ogrn, ("1027700132195", "1037739010891")),
        (checksums.ogrnip, ("304500116000157",)),
        (checksums.snils, ("11223344595", "08765430300")),
        (checksums.iban, ("DE89370400440532013000", "GB29NWBK60161331926819")),
    ],
)
def test_published_numbers_pass_and_no_single_wrong_digit_does(
    check: Callable[[str], bool], valid: tuple[str, ...]
) -> None:
    for number in valid:
        assert check(number), number
        for position in range(len(number)):
            if number[position].isdigit():
                for digit in set("0123456789") - {number[position]}:
                    wrong = number[:position] + digit + number[position + 1 :]
                    # The Russian sums go by rests of 11 and 13, where a few pairs of digits meet.
                    if check in (checksums.luhn, checksums.iban):
                        assert not check(wrong), wrong


@pytest.mark.parametrize(
    ("check", "length"),
    [
        (checksums.inn, 12),
        (checksums.ogrn, 13),
        (checksums.ogrnip, 15),
        (checksums.snils, 11),
        (checksums.oms, 16),
    ],
)
def test_few_random_numbers_pass(check: Callable[[str], bool], length: int) -> None:
    source = random.Random(7)
    passed = sum(check("".join(source.choice("0123456789") for _ in range(length))) for _ in range(3000))
    assert passed < 3000 * 0.13


@pytest.mark.parametrize(
    "check", [checksums.luhn, checksums.inn, checksums.ogrn, checksums.ogrnip, checksums.snils, checksums.oms]
)
def test_a_number_of_another_length_never_passes(check: Callable[[str], bool]) -> None:
    assert not check("")
    if check is not checksums.luhn:
        assert not check("1" * 9)


def test_one_digit_of_ten_completes_a_policy_s_number() -> None:
    for body in ("770000123456789", "185005082000045", "000000000000001"):
        assert sum(checksums.oms(body + digit) for digit in "0123456789") == 1


def test_an_account_s_key_depends_on_the_bank() -> None:
    body, bik = "4070281000000000001", "044525225"
    # The ninth digit is the key: exactly one of ten fits.
    fitting = [key for key in "0123456789" if checksums.account("40702810" + key + body[8:], bik)]
    assert len(fitting) == 1
    assert not checksums.account("40702810" + fitting[0] + body[8:], "044525226")
    assert not checksums.account("407028100", bik)
