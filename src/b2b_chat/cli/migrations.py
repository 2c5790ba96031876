"""Commands about the database's schema."""

import tempfile
from pathlib import Path
from typing import Final

import click

from b2b_chat.cli.failures import fail, needs, owner_explained, settings_explained


@click.command()
def migrate() -> None:
    """Bring the database up to date.

    Applies the missing migrations to the database at DATABASE_URL. Where MIGRATIONS_DATABASE_URL is set, it names the
    owner, who does that, and the user of DATABASE_URL gets the rights that product_api needs and no more. A migration
    that waits longer than MIGRATION_LOCK_TIMEOUT_SECONDS for a lock fails, is undone, and can be run again.
    """
    with needs("product"), settings_explained():
        from b2b_chat.kit.database import is_lock_timeout, is_unknown_role
        from b2b_chat.product.database_roles import load_owner
        from b2b_chat.product.schema import upgrade_to_head

        owner = load_owner()
        with owner_explained():
            try:
                upgrade_to_head(owner)
            except Exception as error:
                if owner.app_user is not None and is_unknown_role(error):
                    fail(
                        "the user of DATABASE_URL does not exist yet. Create it as the database's administrator: "
                        "CREATE ROLE the_user LOGIN PASSWORD 'its password'; and run this again."
                    )
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
