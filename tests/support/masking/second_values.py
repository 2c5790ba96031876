"""Numbers and words of the second evaluation set, made in code: literal ones trip secret scanners."""

import string
from random import Random
from typing import Final

HEX: Final = "0123456789abcdef"
WORD: Final = string.ascii_letters + string.digits
WEIGHTS_INN: Final = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)


class Values:
    """Makes values of one seed."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def some(self, letters: str, count: int) -> str:
        return "".join(self.random.choice(letters) for _ in range(count))

    def filled(self, *shapes: str) -> str:
        """Choose a shape and put a digit for each `#`."""
        return "".join(self.some("0123456789", 1) if mark == "#" else mark for mark in self.random.choice(shapes))

    def inn10(self) -> str:
        base = self.filled("77#######", "59#######", "16#######")
        return base + _weighted(base, WEIGHTS_INN[2:])

    def inn12(self) -> str:
        base = self.filled("59########", "7712######")
        base += _weighted(base, WEIGHTS_INN[1:])
        return base + _weighted(base, WEIGHTS_INN)

    def ogrn(self) -> str:
        base = self.filled("1#2#02######", "1157746#####")
        return base + str(int(base) % 11 % 10)

    def ogrnip(self) -> str:
        base = self.filled("3#5774600#####", "31659580######")
        return base + str(int(base) % 13 % 10)

    def snils(self, shape: str = "{}-{}-{} {}") -> str:
        base = self.filled("1########", "04#######")
        total = sum(int(digit) * (9 - place) for place, digit in enumerate(base)) % 101 % 100
        return shape.format(base[:3], base[3:6], base[6:], f"{total:02}")

    def luhn(self, prefix: str, length: int) -> str:
        base = prefix + self.some("0123456789", length - len(prefix) - 1)
        return base + next(digit for digit in "0123456789" if _luhn(base + digit))

    def card(self) -> str:
        number = self.luhn(self.random.choice(("2200", "4276", "5536", "2202", "4817")), 16)
        return self.random.choice((number, grouped(number, " ", 4), grouped(number, "-", 4)))

    def card_odd(self) -> str:
        number = self.luhn(self.random.choice(("2204", "4154", "5106")), 16)
        gap = self.random.choice(("  ", "\u00a0", " - ", ".", "\u2009"))
        return self.random.choice((grouped(number, gap, 4), f"{number[:8]} {number[8:]}"))

    def account(self, bik: str, correspondent: bool = False) -> str:
        head = "30101810" if correspondent else self.random.choice(("40817810", "40702810", "40802810", "42301810"))
        tail = self.some("0123456789", 8) + (bik[-3:] if correspondent else self.some("0123456789", 3))
        key = ("0" + bik[4:6]) if correspondent else bik[-3:]
        numbers = (head + digit + tail for digit in "0123456789")
        return next(number for number in numbers if _keyed(key + number))

    def iban(self, spaced: bool = False) -> str:
        country, rest = self.random.choice(
            (
                ("DE", self.filled("#" * 18)),
                ("GB", "NWBK" + self.filled("#" * 14)),
                ("KZ", "125KZT" + self.filled("#" * 10)),
            )
        )
        number = "".join(str(int(letter, 36)) for letter in rest + country + "00")
        whole = f"{country}{98 - int(number) % 97:02}{rest}"
        return grouped(whole, " ", 4) if spaced else whole

    def oms(self, spaced: bool = False) -> str:
        number = self.luhn(self.some("123456789", 1), 16)
        return grouped(number, " ", 4) if spaced else number

    def password(self, letters: str = "!#_-+") -> str:
        return (
            self.random.choice(("Zima", "gorod", "Kofe", "Lampa"))
            + self.filled("##", "####")
            + self.some(letters, 1)
            + self.some(WORD, 4)
        )

    def birth_date(self, *forms: str) -> str:
        random = self.random
        day, month, year = random.randint(1, 28), random.randint(1, 12), random.randint(1950, 2012)
        names = [
            "января",
            "февраля",
            "марта",
            "апреля",
            "мая",
            "июня",
            "июля",
            "августа",
            "сентября",
            "октября",
            "ноября",
            "декабря",
        ]
        english = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ]
        return random.choice(forms).format(
            d=day, m=month, y=year, yy=year % 100, name=names[month - 1], en=english[month - 1]
        )


def _weighted(digits: str, weights: tuple[int, ...]) -> str:
    return str(sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11 % 10)


def _luhn(number: str) -> bool:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _keyed(number: str) -> bool:
    return sum(int(digit) * (7, 1, 3)[place % 3] for place, digit in enumerate(number)) % 10 == 0


def grouped(text: str, gap: str, size: int) -> str:
    """Put a gap between pieces of a text."""
    return gap.join(text[place : place + size] for place in range(0, len(text), size))
