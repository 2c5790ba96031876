import pytest

from b2b_chat.product.services import Services
from support.database.world import World
from support.product.login_services import MovableClock, make_people


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def people(world: World, clock: MovableClock) -> Services:
    return make_people(world, clock)
