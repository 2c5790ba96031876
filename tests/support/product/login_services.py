"""The services that sign people in, with a clock that the test moves and the test's own database."""

from datetime import UTC, datetime, timedelta
from typing import Any

from b2b_chat.product.identity.sessions import Browser
from b2b_chat.product.services import Services, services_of
from support.database.world import World
from support.product.app import product_settings

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


def make_people(world: World, clock: MovableClock, **changes: object) -> Services:
    """The services, on a world's database; `changes` are settings by field."""
    generous: dict[str, Any] = {
        "login_rpm_per_ip": 1_000_000,
        "login_mails_per_email_ip_hour": 1_000_000,
        "login_mails_per_email_hour": 1_000_000,
        "login_mails_per_known_browser_hour": 1_000_000,
    }
    return services_of(product_settings(**generous | changes), clock=clock, database=world.database)
