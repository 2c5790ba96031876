"""Security headers of gateway_api: on answers, refusals at the door, and streams."""

import httpx
import pytest

from b2b_chat.kit.security_headers import SECURITY_HEADERS
from support.gateway.app import Gateway, events_of


def has_them_once(response: httpx.Response) -> bool:
    return all(response.headers.get_list(name.decode()) == [value.decode()] for name, value in SECURITY_HEADERS)


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/internal/ping", 401), ("/nowhere", 401)])
async def test_open_answers_and_refusals_have_them(patient: Gateway, path: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=patient.url) as unsigned:
        response = await unsigned.get(path)
    assert response.status_code == status
    assert has_them_once(response)


async def test_a_ping_has_them(patient: Gateway) -> None:
    assert has_them_once(await patient.http.get("/internal/ping"))


async def test_a_stream_has_them_and_comes_whole(patient: Gateway) -> None:
    response = await patient.post("Hi", stream=True)
    assert has_them_once(response)
    assert events_of(response)[-1].name == "final"
