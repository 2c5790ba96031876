"""No other website acts by a visitor's session: tested for every unsafe route that the app has."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from b2b_chat.kit.settings import load
from b2b_chat.product.app import create_litestar
from b2b_chat.product.configuration import check
from b2b_chat.product.openai_errors import is_openai_path
from b2b_chat.product.settings import ProductSettings
from support.database.world import Person, World
from support.product.app import environ, error_of
from support.product.sessions import add_session, http_client

SAFE = {"GET", "HEAD", "OPTIONS"}
REFUSED = (403, "cross_site_request")


def unsafe_routes() -> Iterator[tuple[str, str]]:
    """Method and path of every route that may change something."""
    settings = load(ProductSettings, environ("postgresql://unused", "http://127.0.0.1:1"), check=check)
    for route in create_litestar(settings).routes:
        for method in getattr(route, "methods", ()):
            if method not in SAFE:
                yield str(method), route.path_format


ROUTES = sorted(unsafe_routes())


def path_of(template: str) -> str:
    """A path with some id in each place."""
    return "/".join(str(uuid4()) if part.startswith("{") else part for part in template.split("/"))


async def test_there_are_routes_to_try() -> None:
    assert {("POST", "/v1/chat"), ("POST", "/auth/verify"), ("PUT", "/v1/me/company")} <= set(ROUTES)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://[x]"},  # no URL at all
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"},
        {"Origin": "https://evil.test", "Content-Type": "text/plain"},
        {"Origin": "https://evil.test", "Authorization": "Basic dTpw"},
    ],
    ids=str,
)
async def test_every_unsafe_route_refuses_a_foreign_page(
    world: World, product_url: str, person: Person, headers: dict[str, str]
) -> None:
    token = await add_session(world, person.user_id, person.company_id)
    async with http_client(product_url, session=token) as http:
        for method, template in ROUTES:
            answer = await http.request(method, path_of(template), headers=headers, content=b"{}")
            # For OpenAI's clients a session is no credential at all.
            refused = (401, "invalid_api_key") if is_openai_path(template) else REFUSED
            assert error_of(answer) == refused, (method, template)


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}], ids=str)
async def test_no_route_refuses_our_own_pages(
    world: World, product_url: str, person: Person, headers: dict[str, str]
) -> None:
    async with http_client(product_url) as http:
        ours = {"Origin": product_url} if headers.get("Sec-Fetch-Site") == "same-origin" else {}
        for method, template in ROUTES:
            token = await add_session(world, person.user_id, person.company_id)
            all_headers = {**headers, **ours, "Cookie": f"session={token}"}
            answer = await http.request(method, path_of(template), headers=all_headers, content=b"{}")
            assert answer.status_code == 204 or error_of(answer) != REFUSED, (method, template)


async def test_the_public_address_is_ours_behind_a_proxy_too(world: World, product_url: str, person: Person) -> None:
    token = await add_session(world, person.user_id, person.company_id)
    async with http_client(product_url, session=token) as http:
        headers = {"Host": "internal.test", "Origin": "http://127.0.0.1:8000"}
        assert (await http.post("/auth/logout", headers=headers)).status_code == 204


async def test_a_key_may_be_used_from_anywhere(product_url: str, person: Person) -> None:
    async with http_client(product_url, key=person.api_key) as http:
        message = {"client_message_id": "1", "text": "Hello"}
        headers = {"Origin": "https://elsewhere.test", "Sec-Fetch-Site": "cross-site"}
        assert (await http.post("/v1/chat", json=message, headers=headers)).status_code == 200


async def test_reading_is_left_to_the_browsers_own_rules(world: World, product_url: str, person: Person) -> None:
    token = await add_session(world, person.user_id, person.company_id)
    async with http_client(product_url, session=token) as http:
        answer = await http.get("/v1/me", headers={"Origin": "https://evil.test"})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
