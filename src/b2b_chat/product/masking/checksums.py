"""Check digits: whether a row of digits can be the number that it looks like.

Every function takes digits only and is False for a wrong length. Sources: orders of the FNS (INN, OGRN), the pension
fund's rules (SNILS), the FFOMS (OMS), the Bank of Russia's instruction on account keys, ISO 7812 and ISO 13616.
"""

from typing import Final

_ACCOUNT_WEIGHTS: Final = (7, 1, 3) * 8
_INN_10: Final = (2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_11: Final = (7, *_INN_10)
_INN_12: Final = (3, *_INN_11)


def luhn(digits: str) -> bool:
    """Cards: every second digit from the right counts double."""
    odd = sum(map(int, digits[-1::-2]))
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return len(digits) > 1 and (odd + even) % 10 == 0


def inn(digits: str) -> bool:
    """The taxpayer's number: 10 digits with one check digit, or 12 with two."""
    if len(digits) == 10:  # noqa: PLR2004 - a legal person's
        return _weighted(digits, _INN_10) == int(digits[9])
    return (
        len(digits) == 12  # noqa: PLR2004 - a person's
        and _weighted(digits, _INN_11) == int(digits[10])
        and _weighted(digits, _INN_12) == int(digits[11])
    )


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % 11 % 10


def ogrn(digits: str) -> bool:
    """The register's number of a legal person: 13 digits, the last is the rest by 11."""
    return len(digits) == 13 and int(digits[:12]) % 11 % 10 == int(digits[12])  # noqa: PLR2004


def ogrnip(digits: str) -> bool:
    """The register's number of a sole trader: 15 digits, the last is the rest by 13."""
    return len(digits) == 15 and int(digits[:14]) % 13 % 10 == int(digits[14])  # noqa: PLR2004


def snils(digits: str) -> bool:
    """The insurance number: 11 digits, the last two check the nine before."""
    if len(digits) != 11:  # noqa: PLR2004
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(9, 0, -1), strict=False))
    return total % 101 % 100 == int(digits[9:])


def oms(digits: str) -> bool:
    """The health policy's number: 16 digits, the last by the policy's own variant of Luhn."""
    if len(digits) != 16:  # noqa: PLR2004
        return False
    doubled = str(2 * int(digits[14::-2]))
    total = sum(map(int, doubled)) + sum(map(int, digits[13::-2]))
    return -total % 10 == int(digits[15])


def account(digits: str, bik: str) -> bool:
    """An account's key, which also depends on the bank's BIK; a correspondent account counts as the bank's own."""
    if len(digits) != 20 or len(bik) != 9:  # noqa: PLR2004
        return False
    prefix = "0" + bik[4:6] if digits.startswith("301") else bik[6:]
    return (
        sum(int(digit) * weight % 10 for digit, weight in zip(prefix + digits, _ACCOUNT_WEIGHTS, strict=False)) % 10
        == 0
    )


def iban(value: str) -> bool:
    """An IBAN without spaces: moved by four and read as a number, the rest by 97 is 1."""
    moved = value[4:] + value[:4]
    return value.isascii() and value.isalnum() and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1
