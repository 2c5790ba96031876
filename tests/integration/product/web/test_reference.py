"""`/docs`: the reference of the API, for everyone, in both languages, without scripts."""

import re
from typing import Any

import httpx
import pytest

from b2b_chat.product.web.words import REFERENCE_WORDS
from support.api_documents import operations_of, refers_to
from support.product.app import served_product


@pytest.fixture(scope="module")
async def pages(database_url: str) -> dict[str, Any]:
    async with (
        served_product(database_url, "http://127.0.0.1:9", app_env="prod") as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        return {
            "en": await http.get("/docs", headers={"Accept-Language": "en"}),
            "ru": await http.get("/docs", headers={"Accept-Language": "ru"}),
            "asked": await http.get("/docs?language=en", headers={"Accept-Language": "ru"}),
            "document": await http.get("/docs/openapi.json"),
            "unknown": await http.get("/docs?language=de"),
        }


def test_each_language_has_every_word() -> None:
    assert set(REFERENCE_WORDS["ru"]) == set(REFERENCE_WORDS["en"])
    assert all(text.strip() for words in REFERENCE_WORDS.values() for text in words.values())


def test_everyone_sees_it_in_production_in_their_language(pages: dict[str, Any]) -> None:
    assert {name: page.status_code for name, page in pages.items()} == {
        "en": 200, "ru": 200, "asked": 200, "document": 200, "unknown": 400,
    }  # fmt: skip
    assert '<html lang="en">' in pages["en"].text
    assert '<html lang="ru">' in pages["ru"].text
    assert "Ровно один раз" in pages["ru"].text
    assert pages["asked"].text == pages["en"].text


def test_it_needs_no_script_and_nothing_from_elsewhere(pages: dict[str, Any]) -> None:
    text = pages["en"].text
    assert "<script" not in text
    assert "style=" not in text
    assert {each for each in re.findall(r'(?:src|href)="(?!#)([^"]+)"', text) if "//" in each} == set()
    assert "unsafe" not in pages["en"].headers["content-security-policy"]


def test_every_operation_of_customers_is_there_with_three_samples(pages: dict[str, Any]) -> None:
    text, document = pages["en"].text, pages["document"].json()
    operations = [operation for _, operation in operations_of(document)]
    assert len(operations) > 40
    for operation in operations:
        assert f'<article id="{operation["operationId"]}">' in text
    for language in ("curl", "Python", "JavaScript"):
        assert text.count(f"<summary>{language}</summary>") == len(operations)
    codes = {code for operation in operations for code in operation["x-error-codes"]}
    assert len(codes) > 40
    assert {code for code in codes if f'id="code-{code}"' in text} >= codes - openai_codes(document)


def openai_codes(document: dict[str, Any]) -> set[str]:
    return {
        code
        for _, operation in operations_of(document)
        if "openai" in operation["tags"]
        for code in operation["x-error-codes"]
    }


def test_operators_are_not_in_it(pages: dict[str, Any]) -> None:
    document = pages["document"].json()
    assert not [path for path in document["paths"] if path.startswith("/admin")]
    assert "/admin/" not in pages["en"].text
    schemas = document["components"]["schemas"]
    assert refers_to(document) & {"CreditsAdd", "OperatorKey"} == set()
    assert "CreditsAdd" not in schemas
    assert "ChatAnswer" in schemas
    headers = set(document["components"]["headers"])
    assert refers_to(document) <= set(schemas) | headers


def test_every_link_within_it_leads_somewhere(pages: dict[str, Any]) -> None:
    text = pages["en"].text
    targets = set(re.findall(r'id="([^"]+)"', text))
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert {link for link in links - targets if not link.startswith("code-")} == set()
