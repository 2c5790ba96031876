from b2b_chat.product.masking.kinds import DEFAULTS, GROUPS
from b2b_chat.product.masking.policy import OFF
from b2b_chat.product.masking_policies.schemas import MaskingGroups, MaskingKinds, rules_of


def test_every_group_and_kind_that_a_company_sets_is_on_the_wire() -> None:
    assert MaskingGroups.__struct_fields__ == tuple(DEFAULTS)
    assert MaskingKinds.__struct_fields__ == tuple(kind for group in DEFAULTS for kind in GROUPS[group])


def test_rules_are_the_policy_that_they_were_made_of() -> None:
    assert rules_of(OFF).policy() == OFF
