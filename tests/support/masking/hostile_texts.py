"""Texts written to make a pattern slow: for every rule of the detector, what it begins on and never ends."""

from typing import Final

PIECES: Final = {
    "spaces": " ", "one_letter": "а", "one_capital": "А", "latin_letter": "a", "one_digit": "1", "digits_and_spaces": "1 ", "digits_and_dashes": "1-", "digit_groups": "1234 ", "digits_and_dots": "1.", "commas": "a,",
    "at_signs": "@", "addresses_cut": "a@", "long_local_parts": "a" * 63 + "!@", "many_domains": "a@b.c.d.e.f.", "spoken_at": "a (at) b ", "dog": "собака ",
    "given_names": "Иван ", "surnames": "Иванов ", "initials": "А. ", "initials_tight": "А.А.", "patronymics": "Иванович ", "titles": "г-н ", "greetings": "Уважаемый Иван ", "roles": "директор Ива ", "calls": "сказал Ива ", "latin_names": "John ",
    "capital_words": "Словоед ", "hyphens": "Ан-", "apostrophes": "O'", "quotes": "«", "quotes_closed": "«а»", "straight_quotes": '"', "companies": "ООО «", "companies_nested": "ООО «а«", "ao": "АО ",
    "streets": "ул. ", "street_names": "ул. Ленина ", "street_words": "улица большая малая ", "cities": "г. Москва, ", "parts": "г. Тула, ул. ", "houses": "д. 1, ", "indexes": "101000, А", "highways": "ш.", "english_streets": "12 Main ", "flats": "Ленина 4 кв ",
    "german": "Aastrasse ", "regions": "московская обл., ", "labels": "ФИО: ", "labels_named": "ФИО: А", "label_names": "my name is A ", "signatures": "regards\n", "signatures_spaced": "regards" + " " * 20 + "\n", "table_rows": ";\n", "table_header": "фио;инн\n",
    "table_cells": "a;b;c;d;", "insert": "(a) values (", "insert_rows": "(a) values (b),", "pipes": "|", "newlines": "\n", "passwords": "пароль ", "passwords_spaced": "пароль от а б ", "password_colons": "пароль:", "password_words": "password a b c ",
    "tokens": "token=", "query": "?key=", "query_long": "?" + "a" * 30, "urls": "://", "logins": "://a:", "logins_long": "://" + "a" * 60 + ":", "bearer": "bearer ", "bearer_long": "bearer " + "a" * 40 + " ", "jwt": "eyJ", "jwt_dots": "eyJaaaaaaaa.",
    "pem": "-----BEGIN PRIVATE KEY-----", "pem_body": "-----BEGIN PRIVATE KEY-----\nAAAA", "prefixes": "sk-", "prefix_dashes": "sk-a-", "slack": "xoxb-", "telegram_token": "12345678:", "base58": "1a", "base58_run": "1" * 36 + " ", "hex": "0x", "bech32": "bc1",
    "iban": "AA11", "iban_spaced": "AA11 1111 ", "colons": ":", "hex_colons": "a:", "ipv4": "1.1.1.1.", "ipv6": "1::1:", "plus": "+", "plus_seven": "+7", "phones": "8 (9", "phone_separators": "8 ( ) - . ", "brackets": "(", "plates": "А1", "plates_cut": "А123",
    "birth": "род. 1.1.", "dates": "1.1.1990 ", "months": "1 мая ", "born": "born 1 ", "handles": "@a", "telegram_links": "t.me/", "passports": "паспорт 1", "series": "серия ", "series_numbers": "серия 1234 ", "inn": "инн ", "inn_digits": "инн 123456789 ",
    "square": "[", "token_openings": "[PERSON", "token_unclosed": "[PERSON_1", "token_bare": "PERSON_1", "token_escaped": "\\[", "token_hints": "[PERSON_1|", "curly": "{", "underscores": "_", "emoji": "😀", "combining": "е́", "turkish": "İ", "zero_width": "\u200b",
    "family_names": "Тлеубек Тлеубеков ", "far_passwords": "password a is ", "mysql": "mysql -p", "vendor_prefixes": "hvs.", "discord": "MTAa.", "card_groups": "2200 - 2200 - ", "latin_companies": "Aa Bb LLC", "slash_phones": "8/916/", "spaced_at": "a @ ", "bare_cities": "обл., Тула, ",
    "known": "Иванов Иван Иванович ", "known_again": "Иванов Иван Иванович. Иванову ", "slashes": "/", "backslashes": "\\", "percent": "%", "stars": "*", "dots": ".", "mixed_words": "аa", "upper": "ЖЖЖ ", "values": "values ", "snils": "123-", "oms": "полис 1234 ",
}  # fmt: skip
"""What is repeated until the text is as long as asked."""


def hostile(size: int) -> dict[str, str]:
    """Return the texts, each of `size` characters."""
    return {name: (piece * (size // len(piece) + 1))[:size] for name, piece in PIECES.items()}
