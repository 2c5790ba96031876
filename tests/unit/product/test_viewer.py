from uuid import uuid4

import pytest
from msgspec import structs

from b2b_chat.kit.errors import Refusal
from b2b_chat.product.masking.policy import NO_POLICIES
from b2b_chat.product.viewer import CompanyBlocked, Credential, NoCompany, ScopeMissing, UserBlocked
from b2b_chat.product.vocabulary import Role, Scope

MEMBER = Credential(
    id=uuid4(), via="session", user_id=uuid4(), company_id=uuid4(), role="member", key_scopes=frozenset(),
    is_operator=False, is_user_blocked=False, is_member_blocked=False, is_company_blocked=False, masking=NO_POLICIES,
)  # fmt: skip


def test_a_session_goes_as_far_as_its_role() -> None:
    scopes = {role: structs.replace(MEMBER, role=role.value).viewer().scopes for role in Role}
    everything = {Scope.CHAT, Scope.READ, Scope.ADMIN}
    assert scopes == {Role.MEMBER: {Scope.CHAT, Scope.READ}, Role.ADMIN: everything, Role.OWNER: everything}


def test_a_key_goes_as_far_as_both_its_role_and_its_scopes() -> None:
    key = structs.replace(MEMBER, via="api_key", key_scopes=frozenset({"read", "admin"}))
    assert key.viewer().scopes == {Scope.READ}
    assert structs.replace(key, role="admin").viewer().scopes == {Scope.READ, Scope.ADMIN}


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"company_id": None, "role": None}, NoCompany),
        ({"role": None}, NoCompany),
        ({"is_company_blocked": True}, CompanyBlocked),
        ({"is_member_blocked": True}, UserBlocked),
        ({"is_member_blocked": True, "is_company_blocked": True}, CompanyBlocked),
    ],
)
def test_obstacles_to_acting_in_a_company(changes: dict[str, object], refusal: type[Refusal]) -> None:
    viewer = structs.replace(MEMBER, **changes).viewer()
    with pytest.raises(refusal):
        _ = viewer.company_id
    with pytest.raises(refusal):
        viewer.require(Scope.READ)


def test_a_blocked_user_may_do_nothing() -> None:
    with pytest.raises(UserBlocked):
        structs.replace(MEMBER, is_user_blocked=True).viewer()


def test_a_missing_scope_is_named() -> None:
    viewer = MEMBER.viewer()
    viewer.require(Scope.CHAT)
    with pytest.raises(ScopeMissing):
        viewer.require(Scope.ADMIN)


def test_what_it_came_by() -> None:
    session, key = MEMBER.viewer(), structs.replace(MEMBER, via="api_key").viewer()
    assert (session.session_id, session.api_key_id) == (MEMBER.id, None)
    assert (key.session_id, key.api_key_id) == (None, MEMBER.id)
    assert session.company_id == MEMBER.company_id
