from uuid import uuid4

from b2b_chat.product.audit.actors import actor_of, command_line_actor, operator_of
from b2b_chat.product.viewer import Viewer


def test_an_actor_is_a_person_or_the_key_of_one() -> None:
    user_id, credential_id, company_id = uuid4(), uuid4(), uuid4()
    person = Viewer(user_id, "session", credential_id, company_id, None, None, frozenset(), is_operator=True)
    program = Viewer(user_id, "api_key", credential_id, company_id, None, None, frozenset(), is_operator=True)
    by_hand, by_key = actor_of(person), actor_of(program)
    assert (by_hand.kind, by_hand.id, by_hand.user_id, by_hand.company_id) == (
        "user",
        str(user_id),
        user_id,
        company_id,
    )
    assert (by_key.kind, by_key.id, by_key.user_id) == ("api_key", str(credential_id), user_id)
    assert (operator_of(person).kind, operator_of(person).id) == ("operator", str(user_id))
    assert (operator_of(program).id, operator_of(program).company_id) == (str(credential_id), None)


def test_a_shell_is_known_by_user_and_host() -> None:
    actor = command_line_actor()
    user, at, host = actor.id.partition("@")
    assert (actor.kind, at) == ("command_line", "@")
    assert user
    assert host
