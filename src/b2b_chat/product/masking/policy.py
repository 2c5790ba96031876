"""What is done with each kind: the company's policy, the operator's floor, and what a member adds to it."""

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
import structlog
from msgspec import Struct, field

from b2b_chat.product.masking.kinds import DEFAULTS, GROUP_OF, GROUPS, Group, Kind, MaskingAction
from b2b_chat.product.masking.refusals import MaskingUnavailable

_KEY_CHARACTERS: Final = 16

log = structlog.get_logger(__name__)

_STRENGTH: Final = {action: strength for strength, action in enumerate(MaskingAction)}


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """Actions by group and, more closely, by kind. What neither names is as `DEFAULTS` has it."""

    groups: dict[Group, MaskingAction] = field(default_factory=dict)
    kinds: dict[Kind, MaskingAction] = field(default_factory=dict)
    allow_images: bool = False
    """Whether images may be sent, in which nothing can be masked, although people or secrets are masked in texts."""

    def action(self, kind: Kind) -> MaskingAction:
        """Return what is done with a kind."""
        if kind is Kind.TEXT:
            return MaskingAction.OFF if self.is_off else MaskingAction.MASK
        group = GROUP_OF[kind]
        return self.kinds.get(kind) or self.groups.get(group) or DEFAULTS[group]

    @property
    def is_off(self) -> bool:
        """Whether nothing is masked or blocked."""
        return all(self.action(kind) is MaskingAction.OFF for group in DEFAULTS for kind in GROUPS[group])

    def strengthened(self, other: "Policy") -> "Policy":
        """Return the policy that does for each kind the stronger of two things.

        This is how a floor and a member's wish meet a company's policy: they can add to it and take nothing away.
        """
        return Policy(
            kinds={
                kind: max(self.action(kind), other.action(kind), key=_STRENGTH.__getitem__)
                for group in DEFAULTS
                for kind in GROUPS[group]
            }
        )


OFF: Final = Policy(groups=dict.fromkeys(DEFAULTS, MaskingAction.OFF))
"""Nothing is masked."""


def combined(company: Policy, *, floor: Policy, wish: Policy) -> Policy:
    """Return what is done with each kind: the strictest of a company's policy, the floor, and a member's wish.

    What the floor and the wish do not name they leave alone: the defaults are a company's.
    """
    return company.strengthened(_named_only(floor)).strengthened(_named_only(wish))


def _named_only(policy: Policy) -> Policy:
    return Policy(groups=OFF.groups | policy.groups, kinds=policy.kinds, allow_images=policy.allow_images)


class StoredPolicies(NamedTuple):
    """The policies that bear on a caller, as they are stored; None for one that is not set."""

    company: str | None
    floor: str | None
    wish: str | None
    terms_version: int
    """0 where the company has no lists."""


NO_POLICIES: Final = StoredPolicies(None, None, None, 0)


_IN_IMAGES: Final = (*GROUPS[Group.PEOPLE], *GROUPS[Group.SECRETS])
"""What an image may show, though nobody sees it in the text."""


def _hides_in_images(policy: Policy) -> bool:
    return any(policy.action(kind) is not MaskingAction.OFF for kind in _IN_IMAGES)


class InForce(NamedTuple):
    """What is done with a caller's messages."""

    policy: Policy
    is_off: bool
    """Whether nothing is masked or blocked, so that no text needs to be looked through."""
    key: str
    """Differs for different policies: a text that was masked under another key is looked through again."""
    floor: frozenset[Kind]
    """The kinds that the installation's floor or the caller's own wish names: no allow-list lets them through."""
    allows_images: bool
    """Whether images may go out: each policy that hides people or secrets allows them."""


@lru_cache(maxsize=4096)
def in_force(stored: StoredPolicies) -> InForce:
    """Return what stored policies come to.

    Raises:
        MaskingUnavailable: One of them cannot be read, so it is unknown what to mask.
    """
    try:
        company, floor, wish = (
            msgspec.json.decode(text or "{}", type=Policy) for text in (stored.company, stored.floor, stored.wish)
        )
    except msgspec.DecodeError:
        log.error("masking_policy_unreadable")  # noqa: TRY400 - the error would repeat what is stored
        raise MaskingUnavailable.because_of("policy") from None
    policy = combined(company, floor=floor, wish=wish)
    demanded = _named_only(floor).strengthened(_named_only(wish))
    kinds = frozenset(kind for kind, action in demanded.kinds.items() if action is not MaskingAction.OFF)
    said = msgspec.json.encode([{"groups": policy.groups, "kinds": policy.kinds}, sorted(kinds)], order="sorted")
    allows_images = all(
        each.allow_images or not _hides_in_images(each) for each in (company, _named_only(floor), _named_only(wish))
    )
    return InForce(policy, policy.is_off, hashlib.sha256(said).hexdigest()[:_KEY_CHARACTERS], kinds, allows_images)
