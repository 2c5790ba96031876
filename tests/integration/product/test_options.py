"""`OPTIONS` lists every method of a path, whatever controllers serve it."""

from collections import defaultdict
from typing import Final
from uuid import uuid4

import pytest

from b2b_chat.product.openai_errors import is_openai_path
from support.database.world import World
from support.product.operations import list_operations
from support.product.sessions import add_session, http_client

METHODS: Final[defaultdict[str, set[str]]] = defaultdict(lambda: {"OPTIONS"})
for _operation in list_operations():
    METHODS[_operation.path] |= {_operation.method} | ({"HEAD"} if _operation.method == "GET" else set())


@pytest.mark.parametrize("path", sorted(METHODS))
async def test_all_methods_are_listed(product_url: str, world: World, path: str) -> None:
    person = await world.person(role="owner")
    await world.rows("INSERT INTO operators (user_id) VALUES ($1)", person.user_id)  # whom every guard lets in
    session = await add_session(world, person.user_id, person.company_id)
    target = path
    while "{" in target:
        before, _, rest = target.partition("{")
        target = before + str(uuid4()) + rest.partition("}")[2]
    # A session is no credential for OpenAI's clients.
    headers = {"Authorization": f"Bearer {person.api_key}"} if is_openai_path(path) else {}
    async with http_client(product_url, session=session) as http:
        answer = await http.options(target, headers=headers)
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) == METHODS[path]
