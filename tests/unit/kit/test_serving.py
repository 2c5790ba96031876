"""A port that is taken is found out before two servers share it."""

import socket
from contextlib import nullcontext

import pytest

from b2b_chat.kit.serving import PortBusy, ensure_port_is_free, serve
from support.http.serving import free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_listener_is_noticed(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortBusy, match=f"{host}:{port} is in use"):
            ensure_port_is_free(host, port)
    ensure_port_is_free(host, port)


def test_a_listener_that_would_share_is_noticed_too() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(PortBusy):
            ensure_port_is_free("127.0.0.1", listener.getsockname()[1])


def test_a_server_of_ours_may_share_its_port_and_no_other_program() -> None:
    for shares in (True, False):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            with nullcontext() if shares else pytest.raises(PortBusy):
                ensure_port_is_free("127.0.0.1", listener.getsockname()[1], except_for_ours=True)


def test_a_listener_on_every_address_is_noticed() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener, pytest.raises(PortBusy):  # noqa: S104 - as in a container
        ensure_port_is_free("127.0.0.1", listener.getsockname()[1])


def test_connections_that_have_just_ended_do_not_matter() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address):
            connection, _ = listener.accept()
            connection.close()  # closing first is what leaves TIME_WAIT on this side
    ensure_port_is_free(*address)


def test_serving_on_a_port_that_is_taken_fails_before_anything_is_started() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortBusy):
        serve("no_such_module:create_app", host="127.0.0.1", port=port)
