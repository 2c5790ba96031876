"""The settings of a database, for commands that use it and for migrations, by environment variable."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from b2b_chat.kit.settings import Secret

MigrationLockTimeoutSeconds = Annotated[
    float,
    Meta(
        ge=0.1,
        le=600,
        description="Longest wait of a migration for a lock, behind which all statements wait, seconds",
    ),
]
PGBOUNCER: Final = (
    "DATABASE_URL leads to PgBouncer in transaction mode: statements are not prepared, and PgBouncer's own "
    "idle_transaction_timeout must end transactions whose client is gone"
)


class DatabaseSettings(Struct, frozen=True):
    """All that a command needs which does one use case and serves nothing."""

    database_url: Annotated[Secret, Meta(description="PostgreSQL, as postgresql://user:password@host:5432/name")]
    database_pgbouncer: Annotated[bool, Meta(description=PGBOUNCER)] = False


class MigrationTimeouts(Struct, frozen=True):
    """How long a migration may delay the other users of the database."""

    migration_lock_timeout_seconds: MigrationLockTimeoutSeconds = 3.0


class MigrationSettings(Struct, frozen=True):
    """The settings of `b2b-chat migrate`, `backup` and `restore`: which database, and as whom."""

    database_url: Annotated[
        Secret, Meta(description="PostgreSQL as product_api uses it, and as who migrates it where no owner is set")
    ]
    migrations_database_url: Annotated[
        Secret | None,
        Meta(
            description=(
                "The same database as the owner of its tables; the user of DATABASE_URL gets the rights that "
                "product_api needs, and no more"
            )
        ),
    ] = None
    migration_lock_timeout_seconds: MigrationLockTimeoutSeconds = 3.0
