"""What is done with each kind: the company's policy, the operator's floor, and what a member adds to it."""

from typing import Final

from msgspec import Struct, field

from b2b_chat.product.masking.kinds import DEFAULTS, GROUP_OF, GROUPS, Action, Group, Kind

_STRENGTH: Final = {action: strength for strength, action in enumerate(Action)}


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """Actions by group and, more closely, by kind. What neither names is as `DEFAULTS` has it."""

    groups: dict[Group, Action] = field(default_factory=dict)
    kinds: dict[Kind, Action] = field(default_factory=dict)

    def action(self, kind: Kind) -> Action:
        """Return what is done with a kind."""
        if kind is Kind.TEXT:
            return Action.OFF if self.is_off else Action.MASK
        group = GROUP_OF[kind]
        return self.kinds.get(kind) or self.groups.get(group) or DEFAULTS[group]

    @property
    def is_off(self) -> bool:
        """Whether nothing is masked or blocked."""
        return all(self.action(kind) is Action.OFF for group in DEFAULTS for kind in GROUPS[group])

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


OFF: Final = Policy(groups=dict.fromkeys(DEFAULTS, Action.OFF))
"""Nothing is masked."""
