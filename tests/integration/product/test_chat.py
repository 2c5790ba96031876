from support.product import Client


async def test_x(client: Client, world) -> None:
    print(await client.ask("Hello"))
    for e in await client.stream("More"):
        print(e)
    await world.check_books()
    print(await world.rows("select * from messages"))
    print(await world.rows("select * from ledger"))
