"""The services that sign people in, with a clock that the test moves and the test's own database."""

from datetime import UTC, datetime, timedelta

from msgspec import structs

from b2b_chat.kit.settings import load
from b2b_chat.product.configuration import check
from b2b_chat.product.identity.sessions import Browser
from b2b_chat.product.people import People
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import transaction_factory
from support.database.world import World
from support.product.app import environ

BROWSER = Browser(client_ip="192.0.2.1", user_agent="Test/1.0")


class MovableClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **duration: float) -> None:
        """Move on by so many `seconds`, `minutes` or `days`."""
        self.now += timedelta(**duration)


def make_people(world: World, clock: MovableClock, **changes: object) -> People:
    """The services, on a world's database; `changes` are settings by field."""
    settings = load(ProductSettings, environ("postgresql://unused", "http://127.0.0.1:1"), check=check)
    generous = {
        "login_rpm_per_ip": 1_000_000,
        "login_mails_per_email_ip_hour": 1_000_000,
        "login_mails_per_email_hour": 1_000_000,
    }
    return People(
        structs.replace(settings, **generous | changes),
        world.database,
        transaction_factory(world.database),
        clock=clock,
    )
