"""The first test of CONTRIBUTING.md: a question, its answer, and the books."""

from support.database.world import Person, World
from support.product.app import Client


async def test_an_answer_is_stored_as_it_was_read(client: Client, world: World, person: Person) -> None:
    answer = await client.ask("What is a border?")
    question, stored = await world.messages(person)
    assert (question["text"], stored["status"]) == ("What is a border?", "completed")
    assert stored["text"] == answer["text"]
    await world.check_books()
