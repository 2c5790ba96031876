from uuid import uuid4

import pytest

from b2b_chat.gateway.log_ids import configure_log_ids, hashed_by, logged
from support.gateway.app import SECRET, gateway_settings


def test_an_id_is_logged_as_a_hash_that_its_key_alone_makes() -> None:
    one, another = uuid4(), uuid4()
    configure_log_ids(gateway_settings())
    assert logged(one) == logged(one) == hashed_by(SECRET)(one)
    assert len({logged(one), logged(another), hashed_by("another secret")(one)}) == 3
    assert one.hex not in logged(one)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_ids_themselves_are_a_setting(wanted: bool) -> None:
    value = uuid4()
    configure_log_ids(gateway_settings(gateway_log_ids=wanted))
    assert (logged(value) == str(value)) is wanted
