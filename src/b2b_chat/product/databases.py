"""The pools of connections of a serving process, by what they are for."""

from functools import partial
from typing import NamedTuple

from b2b_chat.kit.database import Database
from b2b_chat.product.settings import ProductSettings


class Databases(NamedTuple):
    """Three pools to one PostgreSQL; a test may give one database three times."""

    main: Database
    login: Database
    """Connections apart from all others, so that no load keeps anyone from signing in."""
    reading: Database
    """Connections for long reads; nothing else waits for one of them."""


def databases_of(settings: ProductSettings) -> Databases:
    """Return the pools of these settings, not open yet."""
    pool = partial(
        Database,
        settings.database_url.reveal(),
        acquire_seconds=settings.database_acquire_timeout_seconds,
        pgbouncer=settings.database_pgbouncer,
    )
    return Databases(
        main=pool(
            pool_size=settings.database_pool_size,
            session_pool_size=settings.database_session_pool_size,
            statement_seconds=settings.database_statement_timeout_seconds,
        ),
        login=pool(
            pool_size=settings.database_login_pool_size,
            session_pool_size=settings.database_login_pool_size,
            statement_seconds=settings.database_statement_timeout_seconds,
            name="login",
        ),
        reading=pool(
            pool_size=1,
            session_pool_size=settings.database_reading_pool_size,
            statement_seconds=settings.database_reading_timeout_seconds,
            name="reading",
            plans_afresh=True,
        ),
    )
