"""Secrets that a label announces: «пароль от crm: …», `api_key = "…"`, «пин-код 4821»."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.spans import Span
from b2b_chat.product.masking.text import Text

RANK: Final = 84
_WORDS: Final = (
    *(
        "пароль",
        "пароля",
        "паролю",
        "паролем",
        "пароле",
        "пароли",
        "пасс",
        "пассворд",
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "pass",
    ),
    *(
        "secret",
        "секрет",
        "секретный ключ",
        "token",
        "токен",
        "токена",
        "api key",
        "api_key",
        "api-key",
        "apikey",
        "апи ключ",
        "апи-ключ",
    ),
    *(
        "access key",
        "access_key",
        "accesskey",
        "ключ",
        "private_key",
        "privatekey",
        "auth_token",
        "authtoken",
        "client_secret",
        "clientsecret",
        "accountkey",
        "account_key",
        "session_id",
        "sessionid",
        "sessid",
        "secretkey",
    ),
    *("credential", "credentials", "кодовое слово", "кодовое"),
)
_CODES: Final = (
    "пин",
    "пин-код",
    "пинкод",
    "pin",
    "pin-code",
    "pin code",
    "cvv",
    "cvv2",
    "cvc",
    "cvc2",
    "код из смс",
    "код подтверждения",
    "one-time code",
    "otp",
)
PASSWORD_LABELS: Final = frozenset((*_WORDS, *_CODES))

_OF_WHAT: Final = (
    r"(?:_(?:key|base|id|hash|value|token|v[0-9]))?(?:[ ](?:[а-яa-z0-9.-]{1,20}[ ]){0,2}[а-яa-z0-9.-]{2,24})?"
)
_SEPARATOR: Final = r"[ ]?(?::=|=>|[:=]|—|–| - )[ ]{0,2}"
_QUOTED: Final = re.compile(rf"{_OF_WHAT}[\"']?(?:{_SEPARATOR}|[ ]value=)[\"'`«]([^\"'`»\n]{{4,200}})[\"'`»]")
_SEPARATED: Final = re.compile(rf"{_OF_WHAT}(?:{_SEPARATOR}|>(?![\[(]))([^\s\"'`«<,;][^\s\"'`»,;<>]{{3,200}})")
_SPACED: Final = re.compile(
    r"[ ]+(?:is[ ]+|такой[ ]+|(?:от|to|для|for|на|к|в|on)[ ]+\S{1,20}[ ]+)?([^\s\"'`«»,;()<>:=]{6,128})"
)
_FAR: Final = re.compile(
    r"(?:,?[ ][a-zа-я0-9.-]{1,20}){0,5}[ ](?:is|это|такой|теперь|на|to|вроде|был)[ :]{1,2}"
    r"([^\s\"'`«»,;()<>:=]{6,128})"
)
_CODE: Final = re.compile(r"[ ]?[:—–-]?[ ]{0,2}(?:карты[ ]|is[ ])?([0-9]{3,8})(?![0-9])")
_PLACEHOLDERS: Final = re.compile(
    r"(?:\*+|x{3,}|\.{3,}|<.*|\$\{?.*|\{\{.*|%.*%|none|null|true|false|string|str|required|optional|changeme"
    r"|undefined|(?:os|process|env|self|settings|config|this|req(?:uest)?|res|ctx|data|params|body|user|args|opt(?:ion)?s|row"
    r"|form|event|input|payload)\.\w.*"
    r"|[\w.]+\(.*|your[-_ ].*|-+|_+|example|не\b.*|нет|да)\Z",
    re.IGNORECASE,
)
_LETTERS: Final = re.compile(r"[A-Za-zА-яЁё]+(?:[_-][A-Za-zА-яЁё]+)*\Z")
_TOKEN_LENGTH: Final = 6


def is_placeholder(value: str) -> bool:
    """Whether a value is what one writes where a secret would be: stars, `${VAR}`, a call, «не указан»."""
    return _PLACEHOLDERS.match(value) is not None


def looks_random(value: str) -> bool:
    """Whether a value has letters and digits, as no word does."""
    return (
        len(value) >= _TOKEN_LENGTH
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
        and not is_placeholder(value)
    )


def _no_word(value: str) -> bool:
    plain = _LETTERS.match(value) is not None and (value.islower() or value.isupper() or value.istitle())
    return not plain and not is_placeholder(value)


def _no_placeholder(value: str) -> bool:
    return not is_placeholder(value)


def _any(_value: str) -> bool:
    return True


_AFTER: Final[tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...]] = (
    (_QUOTED, _no_placeholder),
    (_SEPARATED, _no_word),
    (_SPACED, looks_random),
    (_FAR, looks_random),
)
_AFTER_CODE: Final[tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...]] = ((_CODE, _any),)
_CODE_SET: Final = frozenset(_CODES)


def passwords(text: Text) -> Iterator[Span | None]:
    """Yield the secrets that labels announce, and None for labels that announce none."""
    low, found = text.low, text.found
    for label in PASSWORD_LABELS.intersection(found):
        for start in found[label]:
            yield (
                None
                if low[start - 1 : start].isalpha() and not text.raw[start].isupper()
                else _after(text, start + len(label), codes=label in _CODE_SET)
            )


def _after(text: Text, end: int, *, codes: bool) -> Span | None:
    for pattern, check in _AFTER_CODE if codes else _AFTER:
        # Read in lower case: positions are the same, and no pattern has to ignore case.
        match = pattern.match(text.low, end)
        if match is not None and check(text.raw[match.start(1) : match.end(1)]):
            return Span(*match.span(1), Kind.SECRET, RANK)
    return None
