"""`POST /v1/masking/preview`: what would cross the border, by the rules of the caller, and nothing kept of it."""

from typing import Any

from b2b_chat.product.vocabulary import Scope
from support.database.world import Person, World
from support.gateway.fake import FakeGateway
from support.product.app import Client, client_of, error_of, served_product

TEXT = "😀 Иванов Пётр Ильич, i@example.com, проект Кречет"
PATH = "/v1/company/masking"


async def preview(client: Client, text: str) -> dict[str, Any]:
    answer = await client.http.post("/v1/masking/preview", json={"text": text})
    assert answer.status_code == 200, answer.text
    assert "RateLimit" in answer.headers
    shown: dict[str, Any] = answer.json()
    assert "".join(part["text"] for part in shown["parts"]) == text
    return shown


async def test_a_text_comes_back_in_parts(client: Client) -> None:
    shown = await preview(client, TEXT)
    assert shown["parts"] == [
        {"text": "😀 "},
        {"text": "Иванов Пётр Ильич", "kind": "PERSON", "action": "mask"},
        {"text": ", "},
        {"text": "i@example.com", "kind": "EMAIL", "action": "mask"},
        {"text": ", проект Кречет"},
    ]
    assert shown["masked_text"] == "😀 [PERSON_1], [EMAIL_1], проект Кречет"
    assert (shown["counts"], shown["is_blocked"]) == ({"PERSON": 1, "EMAIL": 1}, False)
    assert await preview(client, "") == {"parts": [], "masked_text": "", "counts": {}, "is_blocked": False}


async def test_the_companys_rules_and_lists_hold_at_once(world: World, product_url: str) -> None:
    admin = await world.person(role="admin")
    async with client_of(product_url, admin) as client:
        for version in range(2):
            rules = {"groups": {"people": "off"}, "kinds": {"EMAIL": "block"}} if not version else {
                "groups": {}, "kinds": {}
            }  # fmt: skip
            assert (await client.http.put(PATH, json={"version": version, **rules})).status_code == 200
            lists = {
                "version": version,
                "terms": ["проект кречет"] if not version else [],
                "allowed": ["I@example.com"] if version else [],
            }
            assert (await client.http.put(f"{PATH}/terms", json=lists)).status_code == 200
            shown = await preview(client, TEXT)
            if not version:
                assert shown["masked_text"] == "😀 Иванов Пётр Ильич, [EMAIL_1], [TERM_1]"
                assert shown["is_blocked"] is True
            else:
                assert shown["masked_text"] == "😀 [PERSON_1], i@example.com, проект Кречет"
                assert shown["is_blocked"] is False


async def test_no_allow_list_lets_through_what_the_floor_or_a_wish_masks(world: World, product_url: str) -> None:
    admin = await world.person(role="admin")
    async with client_of(product_url, admin) as client:
        lists = {"version": 0, "terms": [], "allowed": ["i@example.com"]}
        assert (await client.http.put(f"{PATH}/terms", json=lists)).status_code == 200
        assert "i@example.com" in (await preview(client, TEXT))["masked_text"]
        wish = {"groups": {"contacts": "mask"}, "kinds": {}}
        assert (await client.http.put(f"{PATH}/own", json=wish)).status_code == 200
        assert "[EMAIL_1]" in (await preview(client, TEXT))["masked_text"]


async def test_nothing_is_stored_sent_or_charged(
    world: World, client: Client, person: Person, gateway: FakeGateway
) -> None:
    await preview(client, TEXT)
    assert await world.messages(person) == []
    assert gateway.calls == []
    await world.check_books()


async def test_a_text_that_no_message_may_have_is_refused(client: Client) -> None:
    answer = await client.http.post("/v1/masking/preview", json={"text": "x" * 8001})
    assert error_of(answer) == (422, "text_too_long")


async def test_a_key_without_the_scope_sees_no_preview(world: World, product_url: str) -> None:
    person = await world.person(scopes=[Scope.READ])
    async with client_of(product_url, person) as client:
        answer = await client.http.post("/v1/masking/preview", json={"text": TEXT})
        assert error_of(answer) == (403, "scope_missing")


async def test_what_cannot_be_read_is_refused_and_never_shown_as_masked(world: World, product_url: str) -> None:
    person = await world.person()
    await world.rows(
        'INSERT INTO masking_policies (company_id, policy) VALUES ($1, \'{"kinds": {"AURA": "mask"}}\')',
        person.company_id,
    )
    async with client_of(product_url, person) as client:
        answer = await client.http.post("/v1/masking/preview", json={"text": TEXT})
        assert error_of(answer) == (503, "masking_unavailable")
        assert answer.headers["retry-after"]
        assert answer.json()["detail"]["retryable"] is True


async def test_previews_are_limited_for_each_user(database_url: str, world: World) -> None:
    one, other = await world.person(), await world.person()
    async with (
        served_product(database_url, "http://127.0.0.1:1", masking_preview_rpm_per_user=2) as url,
        client_of(url, one) as first,
        client_of(url, other) as second,
    ):
        for _ in range(2):
            await preview(first, "x")
        assert error_of(await first.http.post("/v1/masking/preview", json={"text": "x"})) == (429, "rate_limited")
        await preview(second, "x")


async def test_the_lists_of_few_companies_are_kept_and_all_are_found(database_url: str, world: World) -> None:
    async with served_product(database_url, "http://127.0.0.1:1", masking_cached_companies=1) as url:
        admins = [await world.person(role="admin") for _ in range(3)]
        for number, admin in enumerate(admins):
            async with client_of(url, admin) as client:
                lists = {"version": 0, "terms": [f"Кречет-{number}"], "allowed": []}
                assert (await client.http.put(f"{PATH}/terms", json=lists)).status_code == 200
        for number, admin in [*enumerate(admins), *enumerate(admins)]:
            async with client_of(url, admin) as client:
                shown = await preview(client, "Кречет-0 Кречет-1 Кречет-2")
                assert shown["counts"] == {"TERM": 1}
                assert f"Кречет-{number}" not in shown["masked_text"]
