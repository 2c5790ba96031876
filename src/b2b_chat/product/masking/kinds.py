"""The kinds of personal data, their groups, and what is done with them unless a company says otherwise.

A kind's name is also the word in its token, `[PERSON_1]`: Latin capitals and nothing else.
"""

from enum import StrEnum
from typing import Final


class Group(StrEnum):
    """Kinds that are set together."""

    PEOPLE = "people"
    CONTACTS = "contacts"
    MONEY = "money"
    SECRETS = "secrets"
    REQUISITES = "requisites"
    TERMS = "terms"
    LITERALS = "literals"


class MaskingAction(StrEnum):
    """What is done with the values of a kind, from the weakest to the strongest."""

    OFF = "off"
    MASK = "mask"
    BLOCK = "block"


class Kind(StrEnum):
    """What a span of text is."""

    PERSON = "PERSON"
    NAME = "NAME"
    """A given name or surname alone."""
    BIRTHDATE = "BIRTHDATE"
    ADDRESS = "ADDRESS"
    PASSPORT = "PASSPORT"
    LICENCE = "LICENCE"
    SNILS = "SNILS"
    OMS = "OMS"
    INN = "INN"
    """A person's: 12 digits."""
    OGRNIP = "OGRNIP"
    PLATE = "PLATE"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    HANDLE = "HANDLE"
    IP = "IP"
    CARD = "CARD"
    ACCOUNT = "ACCOUNT"
    IBAN = "IBAN"
    WALLET = "WALLET"
    SECRET = "SECRET"  # noqa: S105 - the name of a kind
    ORGINN = "ORGINN"
    """A legal person's INN: 10 digits."""
    KPP = "KPP"
    OGRN = "OGRN"
    BIK = "BIK"
    COMPANY = "COMPANY"
    TERM = "TERM"
    """A word of the company's own list."""
    TEXT = "TEXT"
    """What a user wrote that looks like one of our tokens."""


GROUPS: Final = {
    Group.PEOPLE: (
        Kind.PERSON,
        Kind.NAME,
        Kind.BIRTHDATE,
        Kind.ADDRESS,
        Kind.PASSPORT,
        Kind.LICENCE,
        Kind.SNILS,
        Kind.OMS,
        Kind.INN,
        Kind.OGRNIP,
        Kind.PLATE,
    ),
    Group.CONTACTS: (Kind.EMAIL, Kind.PHONE, Kind.HANDLE, Kind.IP),
    Group.MONEY: (Kind.CARD, Kind.ACCOUNT, Kind.IBAN, Kind.WALLET),
    Group.SECRETS: (Kind.SECRET,),
    Group.REQUISITES: (Kind.ORGINN, Kind.KPP, Kind.OGRN, Kind.BIK, Kind.COMPANY),
    Group.TERMS: (Kind.TERM,),
    Group.LITERALS: (Kind.TEXT,),
}
"""The kinds of each group. `LITERALS` is no company's to set: it is masked whenever anything is."""

GROUP_OF: Final = {kind: group for group, kinds in GROUPS.items() for kind in kinds}

DEFAULTS: Final = {
    Group.PEOPLE: MaskingAction.MASK,
    Group.CONTACTS: MaskingAction.MASK,
    Group.MONEY: MaskingAction.MASK,
    Group.SECRETS: MaskingAction.MASK,
    Group.REQUISITES: MaskingAction.OFF,
    Group.TERMS: MaskingAction.MASK,
}
"""What is done with a group that is not set."""
