"""Masking policies on the wire."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.kit.visible import VISIBLE_LINE, require_visible
from b2b_chat.product.masking.kinds import Group, Kind, MaskingAction
from b2b_chat.product.masking.policy import Policy

Version = Annotated[int, Meta(ge=0, le=2_147_483_647)]
Term = Annotated[str, Meta(min_length=2, max_length=200, pattern=VISIBLE_LINE)]
TermList = Annotated[list[Term], Meta(max_length=10_000)]


class MaskingGroups(Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with the kinds of a group: nothing (`off`), hidden (`mask`), or the message refused (`block`)."""

    people: MaskingAction | UnsetType = UNSET
    """Names, birth dates, addresses, passports, driver's licences, SNILS, OMS, a person's INN, OGRNIP, plates."""
    contacts: MaskingAction | UnsetType = UNSET
    """E-mail addresses, phones, handles, IP addresses."""
    money: MaskingAction | UnsetType = UNSET
    """Cards, accounts, IBANs, wallets."""
    secrets: MaskingAction | UnsetType = UNSET
    """Keys, passwords, tokens."""
    requisites: MaskingAction | UnsetType = UNSET
    """INN, KPP, OGRN, BIK and names of legal persons."""
    terms: MaskingAction | UnsetType = UNSET
    """The company's own words."""


class MaskingKinds(Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with single kinds, where it is not what is done with their group."""

    PERSON: MaskingAction | UnsetType = UNSET
    NAME: MaskingAction | UnsetType = UNSET
    BIRTHDATE: MaskingAction | UnsetType = UNSET
    ADDRESS: MaskingAction | UnsetType = UNSET
    PASSPORT: MaskingAction | UnsetType = UNSET
    LICENCE: MaskingAction | UnsetType = UNSET
    SNILS: MaskingAction | UnsetType = UNSET
    OMS: MaskingAction | UnsetType = UNSET
    INN: MaskingAction | UnsetType = UNSET
    OGRNIP: MaskingAction | UnsetType = UNSET
    PLATE: MaskingAction | UnsetType = UNSET
    EMAIL: MaskingAction | UnsetType = UNSET
    PHONE: MaskingAction | UnsetType = UNSET
    HANDLE: MaskingAction | UnsetType = UNSET
    IP: MaskingAction | UnsetType = UNSET
    CARD: MaskingAction | UnsetType = UNSET
    ACCOUNT: MaskingAction | UnsetType = UNSET
    IBAN: MaskingAction | UnsetType = UNSET
    WALLET: MaskingAction | UnsetType = UNSET
    SECRET: MaskingAction | UnsetType = UNSET
    ORGINN: MaskingAction | UnsetType = UNSET
    KPP: MaskingAction | UnsetType = UNSET
    OGRN: MaskingAction | UnsetType = UNSET
    BIK: MaskingAction | UnsetType = UNSET
    COMPANY: MaskingAction | UnsetType = UNSET
    TERM: MaskingAction | UnsetType = UNSET


class MaskingRules(Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with groups and, more closely, with kinds. What neither names is left to the rules below."""

    groups: MaskingGroups
    kinds: MaskingKinds
    allow_images: bool | UnsetType = UNSET
    """Whether images may be sent although people or secrets are masked: nothing can be masked in an image."""

    def policy(self) -> Policy:
        """Return these rules as a policy."""
        return Policy(
            groups={Group(name): action for name, action in _set(self.groups).items()},
            kinds={Kind(name): action for name, action in _set(self.kinds).items()},
            allow_images=self.allow_images is True,
        )


def rules_of(policy: Policy) -> MaskingRules:
    """Return a policy as rules."""
    plain = msgspec.to_builtins({"groups": policy.groups, "kinds": policy.kinds})
    rules = msgspec.convert(plain, MaskingRules)
    return msgspec.structs.replace(rules, allow_images=True) if policy.allow_images else rules


class MaskingChange(MaskingRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The company's rules, and the version that they are meant to replace."""

    version: Version


class MaskingPolicy(Struct, frozen=True):
    """What is done with personal data in your messages, and why."""

    in_force: dict[str, MaskingAction]
    """By kind: the strictest of the company's rules, the installation's floor and your own."""
    company: MaskingRules
    """The company's own rules. What they do not name is as the defaults have it."""
    version: int
    """How often they were changed."""
    floor: MaskingRules
    """The least that is done for every company of this installation."""
    own: MaskingRules
    """What you add for your own messages."""
    terms_version: int
    """How often the company's lists were changed."""
    terms: int
    """How many words of the company's own are masked."""
    allowed: int
    """How many values are let through."""
    updated_at: datetime | None
    """When the company's rules or lists were changed; null where they never were."""


class MaskingTermsChange(Struct, frozen=True, forbid_unknown_fields=True):
    """The company's lists, and the version that they are meant to replace."""

    version: Version
    terms: TermList
    """Words and names of the company's own, which are masked in any case; whole words only."""
    allowed: TermList
    """Values that are let through: only where all of what was found is in the list, and never secrets."""

    def __post_init__(self) -> None:
        for name in ("terms", "allowed"):
            for term in getattr(self, name):
                require_visible(name, term)


class MaskingImport(Struct, frozen=True, forbid_unknown_fields=True):
    """Lists to take the place of the company's; None for one that stays as it is."""

    terms: TermList | None
    allowed: TermList | None


class MaskingTerms(Struct, frozen=True):
    """The company's lists."""

    version: int
    terms: list[str]
    allowed: list[str]


def _set(rules: MaskingGroups | MaskingKinds) -> dict[str, MaskingAction]:
    return {name: action for name, action in msgspec.structs.asdict(rules).items() if action is not UNSET}
