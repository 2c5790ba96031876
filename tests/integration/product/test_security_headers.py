"""Security headers of product_api: on every kind of answer, pages and streams included."""

import httpx
import pytest

from b2b_chat.kit.security_headers import SECURITY_HEADERS
from support.database.world import open_world
from support.product.app import Client, client_of, served_product
from support.product.sessions import add_operator

EXPECTED = {name.decode(): value.decode() for name, value in SECURITY_HEADERS}


def differing(response: httpx.Response) -> dict[str, str | None]:
    """Those that are not as they are for most answers; none may be there twice."""
    for name in EXPECTED:
        assert len(response.headers.get_list(name)) == 1, name
    return {name: response.headers[name] for name, value in EXPECTED.items() if response.headers[name] != value}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/v1/balance", 200),
        ("GET", "/v1/balance/nothing", 404),
        ("GET", "/nowhere", 404),
        ("DELETE", "/health", 405),
        ("POST", "/v1/chat", 400),
        ("GET", "/admin/companies", 403),
        ("GET", "/openapi/openapi.json", 200),
    ],
)
async def test_answers_and_refusals_have_them(client: Client, method: str, path: str, status: int) -> None:
    response = await client.http.request(method, path)
    assert response.status_code == status
    assert differing(response) == {}


async def test_a_stream_has_them_and_comes_whole(client: Client) -> None:
    async with client.http.stream("POST", "/v1/chat", json=client.message("Hi", stream=True)) as response:
        text = (await response.aread()).decode()
    assert differing(response) == {}
    assert response.headers["x-accel-buffering"] == "no"
    assert "event: final" in text


@pytest.mark.parametrize("path", ["/auth/verify", "/invites/accept"])
async def test_a_page_runs_its_own_script_and_nothing_else(client: Client, path: str) -> None:
    page = await client.http.get(path)
    assert page.headers["content-type"].startswith("text/html")
    assert set(differing(page)) == {"content-security-policy"}
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_no_page_has_a_third_partys_script(owner_url: str, database_url: str) -> None:
    async with (
        served_product(database_url, "http://127.0.0.1:9", app_env="prod") as url,
        open_world(owner_url) as world,
    ):
        _, operator_key = await add_operator(world)
        headers = {"Authorization": f"Bearer {operator_key}"}
        async with client_of(url, None) as client:
            for path in ("/openapi/scalar", "/openapi/swagger", "/openapi/redoc"):
                assert (await client.http.get(path)).status_code == 401
                assert (await client.http.get(path, headers=headers)).status_code == 404
