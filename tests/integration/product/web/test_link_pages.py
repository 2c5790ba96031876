"""The pages behind the links in mails: what they may run, in whose language, and that they hang together."""

import re
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import httpx
import pytest
import pytest_asyncio

from support.product.sessions import http_client


class LinkPage(NamedTuple):
    """A page, the script that is its own, and its headings."""

    path: str
    script: str
    headings: dict[str, str]


PAGES: Final = [
    LinkPage("/auth/verify", "login_link.js", {"ru": "Вход", "en": "Sign in"}),
    LinkPage("/invites/accept", "invite_link.js", {"ru": "Приглашение", "en": "Invitation"}),
]
EACH: Final = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)


@pytest_asyncio.fixture
async def http(product_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(product_url) as http:
        yield http


@EACH
@pytest.mark.parametrize("language", ["ru", "en"])
async def test_it_runs_no_script_but_its_own(http: httpx.AsyncClient, page: LinkPage, language: str) -> None:
    answer = await http.get(page.path, headers={"Accept-Language": language})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f"<h1>{page.headings[language]}</h1>" in answer.text
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    scripts = re.findall(r"<script[^>]*>[^<]*</script>", answer.text)
    assert len(scripts) == 1
    assert re.fullmatch(rf'<script type="module" src="/assets/[0-9a-f]+/{page.script}"></script>', scripts[0])
    assert not re.search(r"\son\w+=|style=|<style|javascript:|https?://", answer.text)


@EACH
async def test_its_assets_are_there_with_every_element_that_they_ask_for(
    http: httpx.AsyncClient, page: LinkPage
) -> None:
    text = (await http.get(page.path)).text
    asked_for = set(re.findall(r'"(/assets/[^"]+)"', text))
    folder = next(path.rpartition("/")[0] for path in asked_for)
    scripts = ""
    for path in asked_for | {f"{folder}/link.js"}:
        asset = await http.get(path)
        assert asset.status_code == 200
        if path.endswith(".js"):
            assert asset.headers["content-type"] == "text/javascript; charset=utf-8"
            scripts += asset.text
    named = set(re.findall(r'(?:element|show)\("([\w-]+)"\)', scripts))
    named |= {name for names in re.findall(r"MESSAGES = {([^}]*)}", scripts) for name in re.findall(r'"(\w+)"', names)}
    assert len(named) >= 4
    assert named <= set(re.findall(r'id="([\w-]+)"', text))


@EACH
async def test_the_language_that_the_reader_switched_to_goes_first(http: httpx.AsyncClient, page: LinkPage) -> None:
    headers = {"Accept-Language": "ru", "Cookie": "language=en"}
    answer = await http.get(page.path, headers=headers)
    assert f"<h1>{page.headings['en']}</h1>" in answer.text
    assert {"accept-language", "cookie"} <= set(re.findall(r"[\w-]+", answer.headers["vary"].lower()))


@EACH
async def test_a_scanner_learns_by_head_that_there_is_a_page(http: httpx.AsyncClient, page: LinkPage) -> None:
    answer = await http.head(page.path)
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["content-type"].startswith("text/html")
