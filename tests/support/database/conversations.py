"""Long conversations, written straight into a test's database."""

from typing import Final
from uuid import UUID

from b2b_chat.kit.database import new_id
from support.database.world import Person, World

ANSWER: Final = """## A heading

A paragraph of *some* **words** that is long enough to be broken into lines, with `code` in it and
[a link](https://a.example/path), as answers have them.

| name | value |
| ---- | ----- |
| one  | 1     |
| two  | 2     |

```python
def answer(question: str) -> str:
    return f"I do not know: {question}"
```

1. first
2. second
   - nested

> A quotation, and then the end.

"""
"""Markdown of every kind, as a model writes it."""

_ADD_TURN: Final = """
    WITH asked AS (
        INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, client_message_id,
                              fingerprint, completed_at)
        VALUES ($1, $4, $5, $3, 'user', 'completed', $6, $8, '', now())
    )
    INSERT INTO messages (id, company_id, user_id, conversation_id, role, status, text, reply_to, usage_json,
                          completed_at)
    VALUES ($2, $4, $5, $3, 'assistant', 'completed', $7, $1, NULL, now())
"""


async def add_turns(world: World, person: Person, count: int) -> UUID:
    """Write a conversation of so many questions and answers, without charges."""
    conversation_id = new_id()
    await world.rows(
        "INSERT INTO conversations (id, company_id, user_id, title) VALUES ($1, $2, $3, 'A long conversation')",
        conversation_id,
        person.company_id,
        person.user_id,
    )
    for number in range(1, count + 1):
        asked, answered = new_id(), new_id()
        texts = f"Question {number}", f"Answer {number}\n\n{ANSWER}"
        names = (asked, answered, conversation_id, person.company_id, person.user_id)
        await world.rows(_ADD_TURN, *names, *texts, f"turn-{asked}")
    return conversation_id
