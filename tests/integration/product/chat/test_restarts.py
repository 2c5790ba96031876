"""An answer that breaks off in its middle is begun anew by itself: what its readers see, and what it costs."""

import asyncio

import pytest

from b2b_chat.contract.errors import Code
from support.database.world import Person, World
from support.gateway.fake import (
    ANSWER,
    EVENTS_HEAD,
    Call,
    FakeGateway,
    Gate,
    Reply,
    answering,
    chunk,
    delta,
    error_event,
    events,
    in_turn,
    refusing,
    sending,
)
from support.processes.waiting import until
from support.product.app import Client, Event, client_of, error_of, follow, following, served_product, text_of
from support.telemetry.counts import count

SAME = {"client_message_id": "same"}
BEGUN = "Once, long ago"


def broken_by(code: Code, upstream: str | None = "primary") -> Reply:
    """Break off with an error in the middle of the stream."""
    return events(delta(BEGUN), error_event(code, upstream))


FAULTS: dict[str, tuple[Reply, str]] = {
    "ended without final": (events(delta(BEGUN)), "answer_cut"),
    "reset": (sending(EVENTS_HEAD, chunk(delta(BEGUN)), b"40\r\nevent", reset=True), "answer_cut"),
    "not JSON": (events(delta(BEGUN), b"event: delta\ndata: Once\n\n"), "answer_cut"),
    "cut at the upstream": (broken_by("upstream_truncated"), "answer_cut"),
    "malformed at the upstream": (broken_by("upstream_malformed"), "answer_cut"),
    "stalled at the upstream": (broken_by("upstream_stalled"), "gateway_timeout"),
    "an error of the upstream": (broken_by("upstream_failed"), "gateway_unavailable"),
    "money gone in mid-answer": (broken_by("upstream_quota_exhausted"), "model_unavailable"),
    "a gateway that ends": (broken_by("shutting_down", None), "gateway_unavailable"),
}
FINAL: dict[str, Reply] = {
    "the filter": broken_by("content_filtered", None),
    "a rejection": broken_by("upstream_rejected", None),
    "a defect of the gateway": broken_by("internal_error", None),
}

each_fault = pytest.mark.parametrize("how", FAULTS)


async def check_one_charge(world: World, person: Person, attempts: int) -> None:
    row = await world.answer(person)
    assert (row["status"], row["attempt"], row["text"], row["error_code"]) == ("completed", attempts, ANSWER, None)
    assert [hold["state"] for hold in await world.holds(person)] == ["posted"]
    assert len(await world.ledger(person)) == 2  # the top-up and one charge
    await world.check_books()


async def until_ended(world: World, person: Person) -> None:
    async def is_over() -> bool:
        return (await world.answer(person))["status"] not in {"pending", "streaming"}

    await until(is_over)


def read_with_restarts(read: list[Event]) -> str:
    """The text that a reader has at the end, who drops it at each restart."""
    restarts = [place for place, event in enumerate(read) if event.name == "restart"]
    return text_of(read[max(restarts, default=0) :])


@each_fault
async def test_a_reader_that_can_drops_its_text_and_gets_the_answer(
    client: Client, gateway: FakeGateway, world: World, person: Person, how: str
) -> None:
    broken, code = FAULTS[how]
    gateway.reply = in_turn(broken, answering())
    before = count("product_answer_restarts_total", code=code)
    read = await client.stream(restart=True)
    names = [event.name for event in read]
    assert names[:3] == ["start", "delta", "restart"]
    assert (read[1].data["text"], read[1].id) == (BEGUN, f"1-{len(BEGUN)}")
    assert (read[2].data, read[2].id) == ({"attempt": 2}, "2-0")
    assert names.count("restart") == names.count("start") == 1
    assert read_with_restarts(read) == ANSWER == read[-1].data["text"]
    assert read[-1].id == f"2-{len(ANSWER)}-end"
    assert count("product_answer_restarts_total", code=code) == before + 1
    assert len(gateway.calls) == 2
    await check_one_charge(world, person, attempts=2)


@each_fault
async def test_another_reader_gets_the_error_and_fetches_the_answer(
    client: Client, gateway: FakeGateway, world: World, person: Person, how: str
) -> None:
    broken, code = FAULTS[how]
    gate = Gate("Once")
    gateway.reply = in_turn(broken, gate)
    start, begun, error = await client.stream(**SAME)
    assert (begun.data["text"], error.name, error.data["detail"]["code"]) == (BEGUN, "error", code)
    fetching = asyncio.create_task(client.ask(**SAME))
    rejoining = asyncio.create_task(follow(client, start.data["assistant_message_id"], error.id))
    await gateway.call(2)
    gate.open()
    assert (await fetching)["text"] == ANSWER
    rejoined = await rejoining
    assert (rejoined[0].name, rejoined[0].id, text_of(rejoined)) == ("start", "2-0", ANSWER)
    await check_one_charge(world, person, attempts=2)


@each_fault
async def test_a_caller_of_json_gets_the_answer(
    client: Client, gateway: FakeGateway, world: World, person: Person, how: str
) -> None:
    """It waits for the answer of a stream that another request began, or for its own whole one."""
    broken, _ = FAULTS[how]
    goes_on = asyncio.Event()

    async def break_late(call: Call) -> None:
        await goes_on.wait()
        await broken(call)

    gateway.reply = in_turn(break_late, answering())
    streaming = asyncio.create_task(client.stream(restart=True, **SAME))
    await gateway.call()
    asking = asyncio.create_task(client.ask(**SAME))
    await asyncio.sleep(0.1)  # long enough for it to have joined
    goes_on.set()
    assert (await asking)["text"] == ANSWER
    assert (await streaming)[-1].data["text"] == ANSWER
    await check_one_charge(world, person, attempts=2)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("restart", [False, True])
async def test_a_connection_lost_before_the_first_text_is_no_loss(
    client: Client, gateway: FakeGateway, world: World, person: Person, *, stream: bool, restart: bool
) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    lost = sending(EVENTS_HEAD, b"40\r\nevent", reset=True) if stream else sending(half, reset=True)
    gateway.reply = in_turn(lost, answering())
    if stream:
        read = await client.stream(restart=restart)
        assert read_with_restarts(read) == ANSWER
        assert [event.name for event in read].count("restart") == int(restart)
    else:
        assert (await client.ask(restart=restart))["text"] == ANSWER
    await check_one_charge(world, person, attempts=2)


async def test_at_most_twice(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = in_turn(broken_by("upstream_failed"), broken_by("upstream_truncated"), answering())
    read = await client.stream(restart=True)
    assert [event.data["attempt"] for event in read if event.name == "restart"] == [2, 3]
    await check_one_charge(world, person, attempts=3)

    gateway.forget()
    gateway.reply = broken_by("upstream_truncated")
    failed = await client.stream(restart=True, **SAME)
    assert [event.name for event in failed] == ["start", "delta", *["restart", "delta"] * 2, "error"]
    assert (failed[-1].data["detail"]["code"], len(gateway.calls)) == ("answer_cut", 3)
    gateway.reply = answering()
    retried = await client.stream(restart=True, **SAME)
    assert (retried[0].id, text_of(retried)) == ("4-0", ANSWER)
    assert [hold["state"] for hold in await world.holds(person)] == ["posted", "voided", "posted"]
    await world.check_books()


@pytest.mark.parametrize("how", FINAL)
async def test_what_another_attempt_cannot_mend_ends_the_answer(
    client: Client, gateway: FakeGateway, world: World, how: str
) -> None:
    gateway.reply = FINAL[how]
    assert [event.name for event in await client.stream(restart=True)] == ["start", "delta", "error"]
    assert len(gateway.calls) == 1
    await world.check_books()


async def test_a_failure_before_the_first_text_is_left_to_the_client(client: Client, gateway: FakeGateway) -> None:
    """The gateway has made all its attempts then, and nothing has been read."""
    gateway.reply = refusing("upstream_failed")
    assert error_of(await client.send(stream=True, restart=True)) == (503, "gateway_unavailable")
    gateway.reply = events(error_event("upstream_truncated"))
    assert error_of(await client.send(stream=True, restart=True)) == (502, "answer_cut")
    assert len(gateway.calls) == 2


async def test_the_next_attempt_avoids_the_upstream_that_failed(client: Client, gateway: FakeGateway) -> None:
    gateway.reply = in_turn(
        broken_by("upstream_failed", "primary"),
        broken_by("upstream_failed", "fallback"),
        answering(),
    )
    await client.stream(restart=True)
    assert b"avoid_upstream" not in gateway.calls[0].body
    assert [call.request.avoid_upstream for call in gateway.calls[1:]] == ["primary", "fallback"]
    first, *others = [call.request for call in gateway.calls]
    assert all((each.messages, each.metadata) == (first.messages, first.metadata) for each in others)


async def test_a_gateway_of_the_release_before_is_asked_without_the_new_field(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.reply = in_turn(broken_by("upstream_failed"), refusing("invalid_body"), answering())
    assert (await client.stream(restart=True))[-1].data["text"] == ANSWER
    assert [b"avoid_upstream" in call.body for call in gateway.calls] == [False, True, False]


async def test_resuming_over_a_restart(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gate = Gate("Once")
    gateway.reply = in_turn(broken_by("upstream_stalled"), gate)
    async with client.streaming(restart=True) as sent:
        start, begun = await anext(sent), await anext(sent)
    answer_id = start.data["assistant_message_id"]
    await gateway.call(2)

    async with following(client, answer_id, begun.id, restart=True) as rest:
        restarted, first = await anext(rest), await anext(rest)
        assert (restarted.name, restarted.data, first.data["text"]) == ("restart", {"attempt": 2}, "Once")
        gate.open()
        assert first.data["text"] + text_of([event async for event in rest]) == ANSWER
    for after in (begun.id, f"1-{len(BEGUN)}-end"):
        stored = await follow(client, answer_id, after, restart=True)
        assert [event.name for event in stored] == ["restart", "delta", "final"]
        plain = await follow(client, answer_id, after)
        assert [event.name for event in plain] == ["start", "delta", "final"]
        assert text_of(stored) == text_of(plain) == ANSWER
    assert [event.name for event in await follow(client, answer_id, first.id, restart=True)] == ["delta", "final"]
    await check_one_charge(world, person, attempts=2)


async def test_stopping_a_new_attempt(client: Client, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = in_turn(broken_by("upstream_failed"), Gate("Once"))
    async with client.streaming(restart=True) as read:
        start = await anext(read)
        while (event := await anext(read)).data.get("text") != "Once":
            pass
        stopped = (await client.http.post(f"/v1/chat/{start.data['assistant_message_id']}/stop")).json()
        last = [event async for event in read][-1]
    assert (stopped["status"], stopped["text"], event.id) == ("stopped", "Once", "2-4")
    assert (last.name, last.data["status"], last.data["text"]) == ("final", "stopped", "Once")
    await asyncio.wait_for(gateway.calls[1].left.wait(), 5)
    assert (await world.answer(person))["attempt"] == 2
    await world.check_books()


async def test_stopping_between_two_attempts(client: Client, gateway: FakeGateway, world: World) -> None:
    """The gateway cannot be reached for the second one yet."""
    gateway.reply = in_turn(broken_by("upstream_failed"), refusing("shutting_down"))
    async with client.streaming(restart=True) as read:
        start = await anext(read)
        while (await anext(read)).name != "restart":
            pass
        stopped = (await client.http.post(f"/v1/chat/{start.data['assistant_message_id']}/stop")).json()
        last = [event async for event in read][-1]
    assert (stopped["status"], stopped["text"], last.data["status"]) == ("stopped", "", "stopped")
    await world.check_books()


@pytest.mark.parametrize("restart", [False, True])
async def test_without_a_reader_for_it_no_attempt_is_begun(
    database_url: str, gateway: FakeGateway, world: World, person: Person, *, restart: bool
) -> None:
    """Where an operator ends answers that nobody reads, a reader that cannot go on leaves with the first attempt."""
    gateway.reply = in_turn(broken_by("upstream_failed"), answering())
    async with (
        served_product(database_url, gateway.url, chat_resume_window_seconds=0.0) as url,
        client_of(url, person) as client,
    ):
        read = await client.stream(restart=restart)
        await until_ended(world, person)
    assert read[-1].name == ("final" if restart else "error")
    row = await world.answer(person)
    assert (row["attempt"], row["error_code"]) == ((2, None) if restart else (1, "gateway_unavailable"))
    await world.check_books()


async def test_a_reader_that_left_with_the_first_attempt_opens_the_window(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gateway.reply = in_turn(broken_by("upstream_failed"), Gate("Once"))
    async with (
        served_product(database_url, gateway.url, chat_resume_window_seconds=0.2) as url,
        client_of(url, person) as client,
    ):
        assert (await client.stream())[-1].name == "error"
        await gateway.call(2)
        await until_ended(world, person)
    row = await world.answer(person)
    assert (row["attempt"], row["error_code"], row["text"]) == (2, "client_disconnected", "Once")
    await world.check_books()


async def test_readers_that_went_on_keep_the_window_shut(
    database_url: str, gateway: FakeGateway, world: World, person: Person
) -> None:
    gate = Gate("Once")
    gateway.reply = in_turn(broken_by("upstream_failed"), gate)
    async with (
        served_product(database_url, gateway.url, chat_resume_window_seconds=0.2) as url,
        client_of(url, person) as client,
    ):
        reading = asyncio.create_task(client.stream(restart=True))
        await gateway.call(2)
        await asyncio.sleep(0.5)  # longer than the window
        gate.open()
        assert (await reading)[-1].data["text"] == ANSWER
    await check_one_charge(world, person, attempts=2)


@pytest.mark.parametrize("changes", [{"chat_max_restarts": 0}, {"gateway_total_timeout_seconds": 0.3}])
async def test_not_beyond_what_the_settings_allow(
    database_url: str, gateway: FakeGateway, world: World, person: Person, changes: dict[str, float]
) -> None:
    gateway.reply = events(delta(BEGUN), end="chat_max_restarts" in changes)
    async with served_product(database_url, gateway.url, **changes) as url, client_of(url, person) as client:
        assert [event.name for event in await client.stream(restart=True)] == ["start", "delta", "error"]
    assert len(gateway.calls) == 1
    await world.check_books()


async def test_silence_in_mid_answer(database_url: str, gateway: FakeGateway, world: World, person: Person) -> None:
    gateway.reply = in_turn(events(delta(BEGUN), end=False), answering())
    async with (
        served_product(database_url, gateway.url, gateway_silence_timeout_seconds=0.3) as url,
        client_of(url, person) as client,
    ):
        assert (await client.stream(restart=True))[-1].data["text"] == ANSWER
    await check_one_charge(world, person, attempts=2)


async def test_an_attempt_whose_lease_ran_out_is_not_begun_anew(
    client: Client, gateway: FakeGateway, world: World, person: Person
) -> None:
    """Another process has given the answer up meanwhile: its state and its hold are no longer this run's."""
    goes_on = asyncio.Event()

    async def break_late(call: Call) -> None:
        await call.send(EVENTS_HEAD)
        await call.send_chunk(delta(BEGUN))
        await goes_on.wait()
        await call.send_chunk(error_event("upstream_failed"))

    gateway.reply = in_turn(break_late, answering())
    async with client.streaming(restart=True) as read:
        _, _ = await anext(read), await anext(read)
        await world.rows(
            "WITH failed AS (UPDATE messages SET status = 'error', error_code = 'interrupted', lease_expires_at = NULL "
            "WHERE user_id = $1 AND role = 'assistant' RETURNING reply_to), freed AS (UPDATE holds SET state = "
            "'expired' FROM failed WHERE message_id = reply_to RETURNING amount_credits) UPDATE accounts SET "
            "held_credits = held_credits - amount_credits FROM freed WHERE company_id = $2",
            person.user_id,
            person.company_id,
        )
        goes_on.set()
        assert [event.name async for event in read] == ["error"]
    assert len(gateway.calls) == 1
    row = await world.answer(person)
    assert (row["status"], row["attempt"], row["error_code"]) == ("error", 1, "interrupted")
    await world.check_books()
