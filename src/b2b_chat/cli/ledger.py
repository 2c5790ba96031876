"""`b2b-chat ledger …`: does the money add up?"""

import asyncio
from typing import Final

import click

from b2b_chat.cli.failures import fail, needs, outages_explained, settings_explained

_STATEMENT_SECONDS: Final = 600


@click.group()
def ledger() -> None:
    """Check the credits of the database at DATABASE_URL."""


@ledger.command()
def verify() -> None:
    """Check every invariant of balances, holds and charges on a live database; name violations and exit with 1."""
    with needs("product"), settings_explained():
        from b2b_chat.product.credits.invariants import Violation, verify_ledger
        from b2b_chat.product.database_roles import load_database_settings
        from b2b_chat.product.services import database_services

        settings = load_database_settings()

        async def check() -> list[Violation]:
            async with database_services(settings, statement_seconds=_STATEMENT_SECONDS) as services:
                return await verify_ledger(services.database)

        with outages_explained():
            violations = asyncio.run(check())
    for violation in violations:
        click.echo(f"{violation.invariant}: {violation.subject}: {violation.finding}", err=True)
    if violations:
        fail(f"The ledger is broken in {len(violations)} places.")
    click.echo("The ledger is correct: every invariant holds.")


COMMANDS: Final = (ledger,)
