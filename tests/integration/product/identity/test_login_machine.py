"""Challenges and sessions under any sequence of events, against a model of what they promise.

Two addresses, one of them of nobody; links and codes that are asked for, used, guessed at and left to expire; sessions
that are used, left idle, revoked; a user who is blocked and let in again; secrets that are rotated.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import structs

from b2b_chat.kit.settings import Secret
from b2b_chat.product.identity.logins import InvalidProof
from b2b_chat.product.identity.schemas import LoginProof
from b2b_chat.product.identity.sessions import end_all
from b2b_chat.product.services import Services
from b2b_chat.product.transactions import transaction_factory
from b2b_chat.product.viewer import Unauthenticated, UserBlocked
from support.database.world import World, open_world
from support.product.login_services import BROWSER, MovableClock, make_people
from support.product.sessions import add_member

T = TypeVar("T")

LIFETIME: Final = timedelta(minutes=10)
IDLE: Final = timedelta(hours=1)
ABSOLUTE: Final = timedelta(hours=5)
"""Short, so that they run out in a few steps."""


@dataclass
class Challenge:
    """What is promised of a challenge."""

    email: str
    token: str
    code: str
    expires_at: datetime
    wrong_codes: int = 0
    used: bool = False

    def is_live(self, now: datetime) -> bool:
        return not self.used and now < self.expires_at


@dataclass
class Session:
    """What is promised of a session."""

    token: str
    started_at: datetime
    used_at: datetime
    revoked: bool = False

    def is_live(self, now: datetime) -> bool:
        return not self.revoked and now < self.started_at + ABSOLUTE and now < self.used_at + IDLE


@dataclass
class Model:
    challenges: list[Challenge] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    blocked: bool = False


class LoginMachine(RuleBasedStateMachine):
    """The events. `runner` and `database_url` are set by the test."""

    runner: asyncio.Runner
    world: World

    proofs = Bundle("proofs")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.clock = MovableClock()
        self.secret = Secret(secrets.token_hex(20))
        self.previous: Secret | None = None
        self.people = self.make_people()
        self.asker = BROWSER

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def make_people(self) -> Services:
        return make_people(
            self.world,
            self.clock,
            session_idle_seconds=int(IDLE.total_seconds()),
            session_absolute_seconds=int(ABSOLUTE.total_seconds()),
            auth_token_secret=self.secret,
            auth_token_secret_previous=self.previous,
            session_secret=self.secret,
            session_secret_previous=self.previous,
            login_guesses_per_email_day=10_000,
        )

    @initialize()
    def a_user(self) -> None:
        self.user_id, self.email = self.run(add_member(self.world))

    def live(self, email: str) -> list[Challenge]:
        return [one for one in self.model.challenges if one.email == email and one.is_live(self.clock())]

    async def letters(self) -> list[dict[str, str]]:
        rows = await self.world.rows("SELECT sealed_fields FROM mails WHERE recipient = $1 ORDER BY id", self.email)
        opened = [self.people.seal.open(row["sealed_fields"]) for row in rows]
        return [fields for fields in opened if fields is not None]

    @rule(target=proofs)
    def ask_for_a_link(self) -> Any:
        room = len(self.live(self.email)) < 3 and not self.model.blocked
        before = len(self.run(self.letters()))
        login_request = self.run(self.people.logins.request_link(self.email, "en", self.asker))
        self.asker = structs.replace(BROWSER, login_request=login_request)
        self.run(self.people.logins.decide_requested())
        letters = self.run(self.letters())
        if not room:
            # A blocked user's challenge is live all the same, and counts; its proofs were never mailed.
            if self.model.blocked and len(self.live(self.email)) < 3:
                self.model.challenges.append(Challenge(self.email, "", "", self.clock() + LIFETIME))
            assert len(letters) == before
            return multiple()
        assert len(letters) == before + 1
        token, code = letters[-1]["link"].partition("#")[2], letters[-1]["code"]
        challenge = Challenge(self.email, token, code, self.clock() + LIFETIME)
        self.model.challenges.append(challenge)
        return challenge

    @rule(challenge=proofs)
    def use_a_link(self, challenge: Challenge) -> None:
        right = challenge if challenge.token and challenge.is_live(self.clock()) else None
        self.redeem(LoginProof(token=challenge.token or "none"), right, is_link=True)

    @precondition(lambda self: self.model.challenges)
    @rule(back=st.integers(1, 3))
    def use_one_of_the_latest_links(self, back: int) -> None:
        self.use_a_link(self.model.challenges[-back:][0])

    @rule(challenge=proofs, by_stranger=st.booleans())
    def use_a_code(self, challenge: Challenge, by_stranger: bool) -> None:
        self.try_a_code(challenge.code, by_stranger=by_stranger)

    @precondition(lambda self: self.model.challenges)
    @rule(code=st.from_regex(r"[0-9]{8}\Z", fullmatch=True), times=st.integers(1, 5), by_stranger=st.booleans())
    def guess_a_code(self, code: str, times: int, by_stranger: bool) -> None:
        for _ in range(times):
            self.try_a_code(code, by_stranger=by_stranger)

    def try_a_code(self, code: str, *, by_stranger: bool) -> None:
        live = self.live(self.email)
        is_ended = not by_stranger and sum(one.wrong_codes for one in live) >= 5
        matching = [one for one in reversed(live) if one.code == code and not is_ended]
        self.redeem(LoginProof(email=self.email, code=code), matching[0] if matching else None, by_stranger=by_stranger)

    def redeem(
        self, proof: LoginProof, right: Challenge | None, *, is_link: bool = False, by_stranger: bool = False
    ) -> None:
        live = self.live(self.email)
        try:
            signed_in = self.run(self.people.logins.redeem(proof, BROWSER if by_stranger else self.asker))
        except InvalidProof:
            assert right is None or self.model.blocked
            if is_link and right is not None:
                right.used = True  # a link that was presented is used up, whatever came of it
            if not is_link and not by_stranger and live and sum(one.wrong_codes for one in live) < 5:
                live[-1].wrong_codes += 1
        else:
            assert right is not None
            assert not self.model.blocked
            right.used = True
            self.model.sessions.append(Session(signed_in.session_token, self.clock(), self.clock()))

    @precondition(lambda self: self.model.sessions)
    @rule()
    def use_the_sessions(self) -> None:
        for session in self.model.sessions:
            try:
                viewer = self.run(self.people.sessions.authenticate(session.token))
            except Unauthenticated:
                assert not session.is_live(self.clock())
            except UserBlocked:
                assert session.is_live(self.clock())
                assert self.model.blocked
            else:
                assert session.is_live(self.clock())
                assert viewer.user_id == self.user_id
                session.used_at = self.clock()
        self.run(self.people.last_use.write())

    @precondition(lambda self: self.model.sessions)
    @rule(which=st.integers(0, 5))
    def log_out(self, which: int) -> None:
        for session in self.model.sessions[which : which + 1]:
            self.run(self.people.sessions.end(session.token))
            session.revoked = True

    @precondition(lambda self: self.model.sessions and not self.model.blocked)
    @rule(revokes=st.booleans())
    def block(self, revokes: bool) -> None:
        async def work() -> None:
            await self.world.rows("UPDATE users SET blocked_at = now() WHERE id = $1", self.user_id)
            if revokes:
                async with transaction_factory(self.world.database)() as tx:
                    await end_all(tx, self.user_id, self.clock())

        self.run(work())
        self.model.blocked = True
        if revokes:
            for session in self.model.sessions:
                session.revoked = True

    @precondition(lambda self: self.model.blocked)
    @rule()
    def unblock(self) -> None:
        self.run(self.world.rows("UPDATE users SET blocked_at = NULL WHERE id = $1", self.user_id))
        self.model.blocked = False

    @precondition(lambda self: self.model.challenges)
    @rule(minutes=st.sampled_from([1, 2, 3, 9, 10, 55, 60, 180]))
    def time_passes(self, minutes: int) -> None:
        self.clock.pass_time(minutes=minutes)

    @precondition(lambda self: self.model.challenges)
    @rule()
    def secrets_are_rotated_as_they_should_be(self) -> None:
        """Not before all that hangs on the one before has come to its end."""
        if any(challenge.is_live(self.clock()) for challenge in self.model.challenges):
            return
        if any(session.is_live(self.clock()) for session in self.model.sessions) and self.previous is not None:
            return
        self.secret, self.previous = Secret(secrets.token_hex(20)), self.secret
        self.people = self.make_people()

    @invariant()
    def there_are_as_many_sessions_as_successes(self) -> None:
        row = self.run(self.world.row("SELECT count(*) FROM sessions WHERE user_id = $1", self.user_id))
        assert row["count"] == len(self.model.sessions)

    @invariant()
    def three_are_live_at_most(self) -> None:
        assert len(self.live(self.email)) <= 3


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def world_outside(runner: asyncio.Runner, database_url: str) -> Iterator[World]:
    """A world in the machine's loop, which is no test's."""
    opened = open_world(database_url)
    yield runner.run(opened.__aenter__())
    runner.run(opened.__aexit__(None, None, None))


def test_challenges_and_sessions_keep_their_promises(runner: asyncio.Runner, world_outside: World) -> None:
    machine = type("Machine", (LoginMachine,), {"runner": runner, "world": world_outside})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
