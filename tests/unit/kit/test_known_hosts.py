import pytest

from b2b_chat.kit.known_hosts import is_known_host


@pytest.mark.parametrize(
    "header",
    ["127.0.0.1", "127.0.0.1:8000", "[::1]:8000", "localhost:8000", "LOCALHOST", "x.localhost", "product_api:8000",
     "192.168.1.7:8000", "chat.test", "chat.test:443"],
)  # fmt: skip
def test_addresses_and_names_of_ones_own_are_known(header: str) -> None:
    assert is_known_host(header, {"chat.test"})


@pytest.mark.parametrize(
    "header", ["", "evil.test", "evil.test:8003", "127.0.0.1.evil.test", "localhost.evil.test", "chat.test.evil.test",
               "[::1", "[evil]", "evil.test@127.0.0.1.evil.test", "127.0.0.1:x.evil.test"]
)  # fmt: skip
def test_names_that_a_stranger_may_own_are_not(header: str) -> None:
    assert not is_known_host(header, {"chat.test"})
