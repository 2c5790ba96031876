"""What the page about masking shows of a company's rules: they are stored by group and kind, where anything is set."""

from typing import Any

import msgspec

from b2b_chat.product.masking.kinds import DEFAULTS, GROUPS, Group, MaskingAction
from b2b_chat.product.masking_policies.schemas import MaskingPolicy, MaskingRules


def rules_context(masking: MaskingPolicy) -> dict[str, Any]:
    """Return what the form needs: each group's kinds, what is set of them, and what the floor demands of each kind."""
    company, floor = _plain(masking.company), _plain(masking.floor)

    def set_for_group(group: str) -> str:
        return company["groups"].get(group) or DEFAULTS[Group(group)]

    return {
        "groups": {group.value: [kind.value for kind in GROUPS[group]] for group in DEFAULTS},
        "actions": [action.value for action in MaskingAction],
        "set_for_group": set_for_group,
        "set_kinds": company["kinds"],
        "floor": {
            kind.value: floor["kinds"].get(kind) or floor["groups"].get(group) or MaskingAction.OFF
            for group in DEFAULTS
            for kind in GROUPS[group]
        },
    }


def _plain(rules: MaskingRules) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(rules)
    return plain
