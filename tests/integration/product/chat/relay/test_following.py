"""An answer that one product_api writes and readers of another one follow."""

from uuid import UUID

from b2b_chat.product.chat.relay.bus import EVERYBODY
from b2b_chat.product.chat.relay.messages import Ended, Follow, Piece, Taken, encode
from b2b_chat.sandbox.valkey import EmbeddedValkey
from support.database.world import Person, World
from support.gateway.fake import ANSWER, FakeGateway, Gate, error_event
from support.processes.waiting import until
from support.product.app import Client, error_of, follow, following, text_of
from support.product.relay import (
    Dictation,
    Two,
    clients_of,
    connection_to,
    overhearing,
    speaking,
)
from support.telemetry.counts import Counts, count


async def test_a_reader_goes_on_elsewhere_where_it_left(two: Two, gateway: FakeGateway, world: World) -> None:
    gateway.reply = gate = Gate("Once upon")
    begun = Counts("product_relay_pieces_total", "product_relay_gaps_total", "product_relay_resends_total")
    answered = count("product_relay_asks_total", outcome="answered")
    async with two.here.streaming() as sent:
        start, first = await anext(sent), await anext(sent)
    answer_id = start.data["assistant_message_id"]
    async with following(two.there, answer_id, first.id) as events, following(two.there, answer_id) as whole:
        assert (await anext(whole)) == start
        await until(lambda: none_but(followers=1, mirrors=1))
        gate.open()
        rest = [event async for event in events]
        all_of_it = [event async for event in whole]
    stored = await follow(two.here, answer_id, first.id)
    assert first.data["text"] + text_of(rest) == ANSWER == text_of(all_of_it)
    assert rest[-1] == all_of_it[-1] == stored[-1]
    assert len(gateway.calls) == 1
    assert not gateway.calls[0].left.is_set()
    await until(lambda: none_but(followers=0, mirrors=0))
    assert count("product_relay_asks_total", outcome="answered") == answered + 1
    pieces, gaps, resends = begun.risen().values()
    assert (pieces > 0, gaps, resends) == (True, 0, 0)
    await world.check_books()


async def none_but(*, followers: int, mirrors: int) -> bool:
    """Whether so many answers are relayed in this process, which all products of this module share."""
    return (count("product_relay_followers"), count("product_relay_mirrors")) == (followers, mirrors)


async def test_nothing_is_relayed_without_a_reader_elsewhere(
    two: Two, gateway: FakeGateway, valkey: EmbeddedValkey
) -> None:
    gateway.reply = spoken = Dictation()
    async with overhearing(valkey) as overheard, two.here.streaming() as sent:
        start = await anext(sent)
        for word in ("Once ", "upon ", "a "):
            spoken.say(word)
            assert (await anext(sent)).data["text"] == word
        assert not overheard.asks
        assert not overheard.pieces
        async with following(two.there, start.data["assistant_message_id"]) as second:
            await anext(second)
            assert (await anext(second)).data["text"] == spoken.text
            async with following(two.there, start.data["assistant_message_id"]) as third:
                await anext(third)
                assert (await anext(third)).data["text"] == spoken.text
                spoken.say("time.")
                assert (await anext(second)).data["text"] == (await anext(third)).data["text"] == "time."
        spoken.end()
        last = [event async for event in sent][-1]
    assert last.name == "final"
    assert "".join(piece.text for piece in overheard.pieces) == spoken.text, "it was sent more than once"


async def test_a_failure_is_reported_elsewhere_as_here(two: Two, gateway: FakeGateway, world: World) -> None:
    gateway.reply = spoken = Dictation()
    async with two.here.streaming() as sent:
        start = await anext(sent)
        spoken.say("Once ")
        await anext(sent)
        async with following(two.there, start.data["assistant_message_id"]) as elsewhere:
            assert (await anext(elsewhere)) == start
            await anext(elsewhere)
            await gateway.calls[0].send_chunk(error_event("upstream_stalled"))
            (told_here,) = [event async for event in sent]
            (told_there,) = [event async for event in elsewhere]
    assert told_here.common == told_there.common
    assert told_there.data["detail"]["code"] == "gateway_timeout"
    await world.check_books()


async def test_a_stranger_may_read_it_neither_here_nor_elsewhere(
    two: Two, gateway: FakeGateway, urls: tuple[str, str], world: World, person: Person
) -> None:
    gateway.reply = Gate("Once upon")
    async with two.here.streaming() as sent:
        answer_id = (await anext(sent)).data["assistant_message_id"]
        for other in (await world.person(company_id=person.company_id), await world.person()):
            async with clients_of(urls, other) as theirs:
                for client in theirs:
                    seen = await client.http.get(f"/v1/chat/{answer_id}/events")
                    assert error_of(seen) == (404, "answer_not_found")
                    stopped = await client.http.post(f"/v1/chat/{answer_id}/stop")
                    assert error_of(stopped) == (404, "answer_not_found")


async def test_lost_pieces_are_asked_for_again(
    two: Two, client: Client, gateway: FakeGateway, valkey: EmbeddedValkey
) -> None:
    """The test answers for the process that writes, which knows nothing of Valkey, and answers badly."""
    gateway.reply = Gate("Once ")
    follower, gaps = two.there, Counts("product_relay_gaps_total")
    async with client.streaming() as sent, speaking(valkey) as said:
        answer_id = (await anext(sent)).data["assistant_message_id"]
        async with following(follower, answer_id) as events:
            ask = await said.asked(position=0)
            await said.tell(ask, Taken(ask.follow, said.inbox))
            await said.tell(ask, Piece(ask.follow, 0, "Once "))
            await said.tell(ask, Piece(ask.follow, 10, "a time."))
            ask = await said.asked(position=5)
            await said.tell(ask, Taken(ask.follow, said.inbox))
            await said.tell(ask, Piece(ask.follow, 0, "Once upon "))
            await said.tell(ask, Piece(ask.follow, 5, "upon "))
            await said.tell(ask, b"not a message")
            await said.tell(ask, Piece(ask.follow + 1000, 10, "of another follow"))
            await said.tell(ask, Piece(ask.follow, 10, "a time."))
            await said.tell(ask, Ended(ask.follow, 99, "answer_cut"))
            ask = await said.asked(position=17)
            await said.tell(ask, Taken(ask.follow, said.inbox))
            await said.tell(ask, Ended(ask.follow, 17, "gateway_timeout"))
            heard = [event async for event in events]
    assert text_of(heard) == "Once upon a time."
    assert heard[-1].data["detail"]["code"] == "gateway_timeout"
    assert gaps.risen() == {"product_relay_gaps_total": 2}  # a piece, and the end


async def test_a_follower_that_falls_silent_is_let_go(two: Two, gateway: FakeGateway, valkey: EmbeddedValkey) -> None:
    gateway.reply = gate = Gate("Once ")
    silent = Counts("product_relay_silent_followers_total")
    async with two.here.streaming() as sent, connection_to(valkey) as client:
        start, _ = await anext(sent), await anext(sent)
        answer_id = UUID(start.data["assistant_message_id"])
        await client.publish(EVERYBODY, encode(Follow(answer_id, 1, f"{EVERYBODY}:silent", 1, 0, stop=False)))
        await until(lambda: none_but(followers=1, mirrors=0))
        await until(lambda: none_but(followers=0, mirrors=0))
        gate.open()
        assert [event async for event in sent][-1].name == "final"
    assert silent.risen() == {"product_relay_silent_followers_total": 1}
