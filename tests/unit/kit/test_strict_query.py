import json
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter

from b2b_chat.kit.errors import InvalidRequest, Refusal
from b2b_chat.kit.strict_query import StrictQueries, UnknownParameter, as_utf8, refuse_query
from support.http.asgi import Exchange, in_one_piece


async def provide_span(first: FromQuery[str] = "", last: FromQuery[str] = "") -> str:
    return f"{first}-{last}"


@get("/items/{number:int}", dependencies={"span": Provide(provide_span)})
async def items(
    number: FromPath[int],
    span: NamedDependency[str],
    search: FromQuery[str] = "",
    tags: FromQuery[list[str] | None] = None,
    export_format: Annotated[str, QueryParameter(name="format")] = "csv",
) -> dict[str, Any]:
    return {"number": number, "span": span, "search": search, "tags": tags, "format": export_format}


@get("/nothing")
async def nothing() -> None:
    """Take nothing."""


@get("/page", include_in_schema=False)
async def page(search: FromQuery[str] = "") -> list[str]:
    return [search]


def refuse(_request: Any, error: Exception) -> Any:
    assert isinstance(error, Refusal)
    return Response({"code": error.code, "message": error.message}, status_code=error.status)


app = Litestar([items, nothing, page], middleware=[StrictQueries], exception_handlers={Refusal: refuse})


async def asked(target: str | bytes) -> tuple[int | None, Any]:
    path, _, query = (target if isinstance(target, bytes) else target.encode()).partition(b"?")
    exchange = Exchange("GET", path.decode(), messages=in_one_piece(b""))
    exchange.scope.update(query_string=query, app=app, state={}, extensions={})
    await exchange.run(app)
    return exchange.status, json.loads(exchange.body) if exchange.body else None


async def test_what_an_operation_takes_is_taken() -> None:
    status, body = await asked("/items/7?search=a&first=1&last=2&format=ndjson&tags=x&tags=y")
    expected = {"number": 7, "span": "1-2", "search": "a", "tags": ["x", "y"], "format": "ndjson"}
    assert (status, body) == (200, expected)
    assert (await asked("/items/7"))[0] == 200
    assert (await asked("/items/7?search="))[0] == 200


@pytest.mark.parametrize(
    "query",
    ["x=1", "search=a&x", "=1", "Search=a", "search%20=a", "export_format=csv", "number=7", "span=1", "x&x"],
)
async def test_any_other_parameter_is_refused(query: str) -> None:
    status, body = await asked(f"/items/7?{query}")
    assert (status, body["code"]) == (400, "unknown_parameter")
    assert body["message"].endswith("It takes: first, format, last, search, tags.")


async def test_an_operation_without_parameters_takes_none() -> None:
    assert (await asked("/nothing?"))[0] == 200
    status, body = await asked("/nothing?x=1")
    assert (status, body["message"]) == (400, "This operation has no query parameter 'x'. It takes none.")


@pytest.mark.parametrize("query", ["search=a&search=b", "search=a&search=a", "first=1&search=&first=", "format&format"])
async def test_one_value_is_one(query: str) -> None:
    status, body = await asked(f"/items/7?{query}")
    assert (status, body["code"]) == (400, "invalid_request")
    assert "more than once" in body["message"]


async def test_a_query_has_an_end() -> None:
    assert (await asked("/items/7?" + "&".join(["tags=x"] * 50)))[0] == 200
    status, body = await asked("/items/7?" + "&".join(["tags=x"] * 51))
    assert (status, body["code"]) == (400, "invalid_request")


async def test_a_name_is_shown_as_far_as_it_can_be() -> None:
    _, body = await asked("/nothing?" + quote("a\n\x1b" + "x" * 500))
    assert body["message"] == f"This operation has no query parameter 'a\ufffd\ufffd{'x' * 61}'. It takes none."


async def test_links_to_pages_may_be_decorated() -> None:
    assert await asked("/page?search=a&utm_source=mail&utm_source=mail") == (200, ["a"])


@pytest.mark.parametrize("raw", [b"search=%ff", b"search=\xff", b"search=\xd0", b"%d0=1", b"search=%ed%a0%80"])
async def test_what_is_not_utf8_is_refused(raw: bytes) -> None:
    for path in (b"/items/7", b"/page", b"/nothing"):
        status, body = await asked(path + b"?" + raw)
        assert (status, body["message"]) == (400, "The query is not UTF-8.")


@pytest.mark.parametrize("text", ["первая", "é", "😀", "a b", "100%", "a+b", "a&b=c"])
async def test_raw_utf8_is_what_it_would_be_encoded(text: str) -> None:
    assert (await asked("/page?search=" + quote(text)))[1] == [text]
    raw = text.replace("%", "%25").replace("+", "%2B").replace("&", "%26").replace(" ", "+")
    assert (await asked(f"/page?search={raw}"))[1] == [text]


@given(st.text(st.characters(codec="utf-8", exclude_characters="%")))
def test_ascii_stays_and_the_rest_is_encoded(text: str) -> None:
    encoded = as_utf8(text.encode())
    assert encoded.isascii()
    assert as_utf8(encoded) == encoded
    if text.isascii():
        assert encoded == text.encode()


def test_an_endpoint_outside_of_litestar_can_refuse_too() -> None:
    refuse_query(b"")
    with pytest.raises(UnknownParameter):
        refuse_query(b"x=1")
    with pytest.raises(InvalidRequest, match="invalid_request"):
        refuse_query(b"\xff")
