import itertools

import msgspec
import pytest

from b2b_chat.product.masking.kinds import DEFAULTS, GROUPS, Action, Group, Kind
from b2b_chat.product.masking.policy import OFF, Policy


def test_without_settings_the_defaults_hold() -> None:
    policy = Policy()
    assert policy.action(Kind.PERSON) is policy.action(Kind.SECRET) is policy.action(Kind.TERM) is Action.MASK
    assert policy.action(Kind.COMPANY) is policy.action(Kind.ORGINN) is Action.OFF
    assert not policy.is_off


def test_a_kind_s_setting_outranks_its_group_s() -> None:
    policy = Policy(groups={Group.PEOPLE: Action.OFF}, kinds={Kind.PASSPORT: Action.BLOCK})
    assert policy.action(Kind.PERSON) is Action.OFF
    assert policy.action(Kind.PASSPORT) is Action.BLOCK


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product(Action, Action)))
def test_strengthening_never_weakens(ours: Action, theirs: Action) -> None:
    one, other = Policy(groups={Group.MONEY: ours}), Policy(groups={Group.MONEY: theirs})
    order = list(Action)
    both = one.strengthened(other)
    assert both.action(Kind.CARD) is max(ours, theirs, key=order.index)
    assert both == other.strengthened(one)
    for kind in (kind for group in DEFAULTS for kind in GROUPS[group]):
        assert order.index(both.action(kind)) >= order.index(one.action(kind))


def test_off_masks_nothing_and_the_users_own_tokens_are_masked_with_anything_else() -> None:
    assert OFF.is_off
    assert OFF.action(Kind.TEXT) is Action.OFF
    assert (
        Policy(groups=dict.fromkeys(DEFAULTS, Action.OFF), kinds={Kind.IP: Action.MASK}).action(Kind.TEXT)
        is Action.MASK
    )


def test_a_policy_has_no_unknown_words() -> None:
    assert msgspec.json.decode(b'{"groups":{"people":"block"}}', type=Policy).action(Kind.NAME) is Action.BLOCK
    for bad in (b'{"groups":{"persons":"mask"}}', b'{"kinds":{"PERSON":"hide"}}', b'{"people":"mask"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=Policy)
