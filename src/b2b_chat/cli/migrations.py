"""Commands about the database's schema."""

import os
import tempfile
from pathlib import Path
from typing import Final

import click

from b2b_chat.cli.failures import fail, needs, outages_explained, settings_explained


@click.command()
def migrate() -> None:
    """Bring the database up to date.

    Applies the missing migrations to the database at DATABASE_URL, and needs no other setting. A migration that waits
    longer than MIGRATION_LOCK_TIMEOUT_SECONDS for a lock fails, is undone, and can be run again.
    """
    with needs("product"), settings_explained():
        from b2b_chat.kit.database import is_lock_timeout
        from b2b_chat.kit.settings import load
        from b2b_chat.product.schema import upgrade_to_head
        from b2b_chat.product.settings import DatabaseSettings

        url = load(DatabaseSettings, os.environ).database_url.reveal()
        with outages_explained():
            try:
                upgrade_to_head(url)
            except Exception as error:
                if not is_lock_timeout(error):
                    raise
                fail(
                    "a migration waited too long for a lock that a transaction holds, and was undone so that it blocks "
                    "nobody. Run it again; pg_stat_activity shows the holders of locks."
                )


@click.command("migrate-check")
def migrate_check() -> None:
    """Check that migrations and models agree.

    Applies all migrations to an embedded PostgreSQL and names the differences between models and tables. Exits with 1
    if there are any.
    """
    with needs("sandbox"):
        from b2b_chat.product.schema import differences
        from b2b_chat.sandbox.postgres import EmbeddedPostgres

        with tempfile.TemporaryDirectory(prefix="b2b-chat-") as folder:
            Path(folder).chmod(0o755)  # PostgreSQL runs as another user where we are root
            server = EmbeddedPostgres(Path(folder) / "postgres", durable=False)
            try:
                server.start()
                found = differences(server.url("postgres"))
            finally:
                server.stop()
    if found:
        fail(*found, 'models and migrations differ. Write the migration: just revision "what it does"')
    click.echo("Models and migrations agree.")


COMMANDS: Final = (migrate, migrate_check)
