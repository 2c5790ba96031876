"""What readers of streams had, and whether each is the stored answer and was charged once."""

import random
from dataclasses import dataclass

from support.database.world import Person, World

AT_ONCE = 16
RETRIES = 30
"""The last event alone is 1 kB, which many connections in a row may be too short for."""

_STORED = """
    SELECT question.client_message_id AS name, answer.text, answer.status,
           (SELECT count(*) FROM ledger WHERE ledger.message_id = question.id AND kind = 'charge') AS charges
    FROM messages AS question JOIN messages AS answer ON answer.reply_to = question.id
    WHERE question.company_id = $1
"""


@dataclass
class Read:
    """What one reader had of one stream: its text, the kinds of the other events, and the text of the last one."""

    name: str
    kinds: list[str]
    text: str
    final: str


def questions_of(rng: random.Random, number: int) -> list[str]:
    """Questions with answers of many lengths, at two paces."""
    return [
        f"Question {each}, пожалуйста 🙂 [[simulate: tokens={rng.randrange(20, 100)}; tps={rng.choice([0, 200])}]]"
        for each in range(number)
    ]


async def check_reads(reads: list[Read], world: World, person: Person) -> None:
    """Every reader had the stored text in order, each character once, between one start and one end."""
    stored = {row["name"]: row for row in await world.rows(_STORED, person.company_id)}
    assert set(stored) == {read.name for read in reads}
    for read in reads:
        assert read.kinds == ["start", "final"], read
        assert read.text == read.final == stored[read.name]["text"], read
    assert {row["status"] for row in stored.values()} == {"completed"}
    assert {row["charges"] for row in stored.values()} == {1}
    await world.check_books()
