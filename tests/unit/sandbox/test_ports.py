import socket

from b2b_chat.sandbox.ports import free_ports


def test_the_ports_differ_and_can_be_listened_on() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            listener.listen()


def test_no_ports_for_no_request() -> None:
    assert free_ports(0) == []
