import itertools

import msgspec
import pytest

from b2b_chat.product.masking.kinds import DEFAULTS, GROUPS, Group, Kind, MaskingAction
from b2b_chat.product.masking.policy import NO_POLICIES, OFF, Policy, StoredPolicies, combined, in_force
from b2b_chat.product.masking.refusals import MaskingUnavailable


def test_without_settings_the_defaults_hold() -> None:
    policy = Policy()
    assert policy.action(Kind.PERSON) is policy.action(Kind.SECRET) is policy.action(Kind.TERM) is MaskingAction.MASK
    assert policy.action(Kind.COMPANY) is policy.action(Kind.ORGINN) is MaskingAction.OFF
    assert not policy.is_off


def test_a_kind_s_setting_outranks_its_group_s() -> None:
    policy = Policy(groups={Group.PEOPLE: MaskingAction.OFF}, kinds={Kind.PASSPORT: MaskingAction.BLOCK})
    assert policy.action(Kind.PERSON) is MaskingAction.OFF
    assert policy.action(Kind.PASSPORT) is MaskingAction.BLOCK


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(MaskingAction, MaskingAction)))
def test_strengthening_never_weakens(ours: MaskingAction, theirs: MaskingAction) -> None:
    one, other = Policy(groups={Group.MONEY: ours}), Policy(groups={Group.MONEY: theirs})
    order = list(MaskingAction)
    both = one.strengthened(other)
    assert both.action(Kind.CARD) is max(ours, theirs, key=order.index)
    assert both == other.strengthened(one)
    for kind in (kind for group in DEFAULTS for kind in GROUPS[group]):
        assert order.index(both.action(kind)) >= order.index(one.action(kind))


def test_off_masks_nothing_and_the_users_own_tokens_are_masked_with_anything_else() -> None:
    assert OFF.is_off
    assert OFF.action(Kind.TEXT) is MaskingAction.OFF
    assert (
        Policy(groups=dict.fromkeys(DEFAULTS, MaskingAction.OFF), kinds={Kind.IP: MaskingAction.MASK}).action(Kind.TEXT)
        is MaskingAction.MASK
    )


def test_a_policy_has_no_unknown_words() -> None:
    assert msgspec.json.decode(b'{"groups":{"people":"block"}}', type=Policy).action(Kind.NAME) is MaskingAction.BLOCK
    for bad in (b'{"groups":{"persons":"mask"}}', b'{"kinds":{"PERSON":"hide"}}', b'{"people":"mask"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=Policy)


def stored(**policies: str) -> StoredPolicies:
    return StoredPolicies(policies.get("company"), policies.get("floor"), policies.get("wish"), 0)


def test_floor_and_wish_do_only_what_they_name() -> None:
    off = msgspec.json.encode(OFF).decode()
    assert in_force(stored(company=off)).is_off
    assert not in_force(NO_POLICIES).is_off
    floored = in_force(stored(company=off, floor='{"kinds":{"CARD":"block"}}'))
    assert (floored.policy.action(Kind.CARD), floored.policy.action(Kind.IBAN)) == (
        MaskingAction.BLOCK,
        MaskingAction.OFF,
    )
    assert (floored.is_off, floored.floor) == (False, frozenset({Kind.CARD}))
    wished = in_force(stored(company=off, floor='{"kinds":{"CARD":"block"}}', wish='{"groups":{"money":"mask"}}'))
    assert (wished.policy.action(Kind.CARD), wished.policy.action(Kind.IBAN)) == (
        MaskingAction.BLOCK,
        MaskingAction.MASK,
    )
    assert wished.floor == {Kind.CARD, Kind.IBAN, Kind.ACCOUNT, Kind.WALLET}
    assert combined(Policy(), floor=Policy(), wish=Policy()).action(Kind.PERSON) is MaskingAction.MASK


@pytest.mark.parametrize("whose", ["company", "floor", "wish"])
@pytest.mark.parametrize("text", ['{"kinds":{"AURA":"mask"}}', "null", "[]"])
def test_a_policy_that_cannot_be_read_is_no_permission(whose: str, text: str) -> None:
    with pytest.raises(MaskingUnavailable):
        in_force(stored(**{whose: text}))


HIDES_PEOPLE = '{"groups":{"people":"mask"}}'
HIDES_AND_ALLOWS = '{"groups":{"people":"mask"},"allow_images":true}'
HIDES_MONEY = '{"groups":{"people":"off","secrets":"off","money":"block"}}'


@pytest.mark.parametrize(
    ("policies", "allowed"),
    [
        ({}, False),
        ({"company": '{"allow_images":true}'}, True),
        ({"company": HIDES_MONEY}, True),
        ({"company": '{"groups":{"people":"off"}}'}, False),  # secrets are hidden by default
        ({"company": HIDES_AND_ALLOWS, "floor": HIDES_PEOPLE}, False),
        ({"company": HIDES_AND_ALLOWS, "floor": HIDES_AND_ALLOWS}, True),
        ({"company": HIDES_AND_ALLOWS, "floor": HIDES_MONEY}, True),
        ({"company": HIDES_AND_ALLOWS, "wish": HIDES_PEOPLE}, False),
        ({"company": HIDES_PEOPLE, "floor": HIDES_AND_ALLOWS, "wish": HIDES_AND_ALLOWS}, False),
        ({"company": HIDES_MONEY, "floor": '{"kinds":{"SECRET":"block"}}'}, False),
    ],
)
def test_images_go_out_where_every_policy_that_hides_what_they_may_show_allows_them(
    policies: dict[str, str], allowed: bool
) -> None:
    assert in_force(stored(**policies)).allows_images is allowed


def test_allowing_images_changes_no_mask() -> None:
    assert in_force(stored(company='{"allow_images":true}')).key == in_force(stored(company="{}")).key
