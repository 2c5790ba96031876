"""Invites in any order of events, against a model: a state machine on the real database, with a clock of its own."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from b2b_chat.kit.database import Database
from b2b_chat.kit.errors import Refusal
from b2b_chat.product.companies.invites import Invites
from b2b_chat.product.companies.schemas import Invite, InviteAcceptance, InviteCreate
from b2b_chat.product.limits.memory import WindowsInMemory
from b2b_chat.product.limits.service import Limits
from b2b_chat.product.mail.letters import Letter
from b2b_chat.product.transactions import transaction_factory
from b2b_chat.product.viewer import Viewer
from b2b_chat.product.vocabulary import Role, Scope
from support.database.world import World
from support.product.app import product_settings
from support.product.sessions import add_user

ResultT = TypeVar("ResultT")

LIFETIME_SECONDS = 100
MAX_OPEN = 2
SETTINGS = product_settings(
    invite_lifetime_seconds=LIFETIME_SECONDS, max_open_invites=MAX_OPEN, invite_mails_per_company_hour=1_000_000
)
ADDRESSES = 4


@dataclass
class Told:
    """What the model knows of an invite."""

    email: str
    token: str
    expires_at: datetime
    state: str = "pending"
    old_tokens: list[str] = field(default_factory=list)


class Letters:
    """Takes the letters in place of the outbox, and shows their tokens."""

    def __init__(self) -> None:
        self.token = ""

    async def post(self, _tx: object, letter: Letter, *, useful_until: datetime) -> None:
        """Read a letter."""
        assert useful_until.tzinfo is UTC
        self.token = letter.fields["link"].partition("#")[2]


class InviteMachine(RuleBasedStateMachine):
    """One company, four people, and all that can happen between them."""

    invites: Bundle[UUID] = Bundle("invites")

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        super().__init__()
        self.runner = runner
        self.world = world
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.letters = Letters()
        self.service = Invites(
            transaction_factory(world.database),
            self.letters,  # type: ignore[arg-type] # takes what the outbox takes
            Limits(WindowsInMemory(), SETTINGS),
            SETTINGS,
            clock=lambda: self.now,
        )
        self.told: dict[UUID, Told] = {}
        self.members: set[str] = set()
        self.people: dict[str, UUID] = {}

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do something to its end."""
        return self.runner.run(work)

    def attempt(self, work: Coroutine[Any, Any, ResultT]) -> ResultT | str:
        """What a use case returns, or the code of its refusal."""
        try:
            return self.run(work)
        except Refusal as refusal:
            return refusal.code

    @initialize()
    def settle(self) -> None:
        """Set up the company."""
        owner = self.run(self.world.person(role="owner"))
        self.owner = Viewer(
            user_id=owner.user_id,
            via="session",
            credential_id=uuid4(),
            acting_in=owner.company_id,
            obstacle=None,
            role=Role.OWNER,
            scopes=frozenset(Scope),
            is_operator=False,
        )
        for _ in range(ADDRESSES):
            user_id, email = self.run(add_user(self.world))
            self.people[email] = user_id
        self.emails = list(self.people)

    def open_emails(self) -> list[str]:
        """Whose invites could be accepted now."""
        return [told.email for told in self.told.values() if told.state == "pending" and told.expires_at > self.now]

    def obstacle(self, email: str) -> str | None:
        """Why no invite can be opened for an address now."""
        if email in self.members:
            return "already_member"
        if email in self.open_emails():
            return "already_invited"
        return "too_many_invites" if len(self.open_emails()) >= MAX_OPEN else None

    @rule(target=invites, number=st.integers(0, ADDRESSES - 1))
    def create(self, number: int) -> Any:
        """Invite a person."""
        email = self.emails[number]
        expected = self.obstacle(email)
        made = self.attempt(self.service.create(self.owner, InviteCreate(email, Role.MEMBER), "en"))
        if expected is not None:
            assert made == expected
            return None
        assert isinstance(made, Invite)
        assert made.state == "pending"
        self.told[made.id] = Told(email, self.letters.token, self.now + timedelta(seconds=LIFETIME_SECONDS))
        return made.id

    @rule(invite_id=invites)
    def resend(self, invite_id: UUID | None) -> None:
        """Send an invite again."""
        if invite_id is None:
            return
        told = self.told[invite_id]
        expected = "invite_closed" if told.state != "pending" else None
        if expected is None and told.expires_at <= self.now:
            expected = self.obstacle(told.email)
        sent = self.attempt(self.service.resend(self.owner, invite_id))
        if expected is not None:
            assert sent == expected
            return
        assert isinstance(sent, Invite)
        assert self.letters.token != told.token
        told.old_tokens.append(told.token)
        told.token, told.expires_at = self.letters.token, self.now + timedelta(seconds=LIFETIME_SECONDS)

    @rule(invite_id=invites)
    def revoke(self, invite_id: UUID | None) -> None:
        """Take an invite back."""
        if invite_id is None:
            return
        told = self.told[invite_id]
        refused = self.attempt(self.service.revoke(self.owner, invite_id))
        assert refused == ("invite_closed" if told.state != "pending" else None)
        if told.state == "pending":
            told.state = "revoked"

    @rule(invite_id=invites, number=st.integers(0, ADDRESSES - 1), as_invited=st.booleans(), old=st.booleans())
    def accept(self, invite_id: UUID | None, number: int, *, as_invited: bool, old: bool) -> None:
        """Present a token, current or old, as the invited person or as another."""
        if invite_id is None:
            return
        told = self.told[invite_id]
        email = told.email if as_invited else self.emails[number]
        token = told.old_tokens[-1] if old and told.old_tokens else told.token
        fits = token == told.token and email == told.email and told.state == "pending" and told.expires_at > self.now
        expected = None if fits else "invite_not_found"
        if fits and email in self.members:
            expected = "already_member"
        session_id = uuid4()
        guest = Viewer(self.people[email], "session", session_id, None, None, None, frozenset(), is_operator=False)
        joined = self.attempt(self.service.accept(guest, InviteAcceptance(token)))
        if expected is not None:
            assert joined == expected
            return
        assert not isinstance(joined, str)
        assert joined.company_id == self.owner.company_id
        told.state = "accepted"
        self.members.add(email)

    @rule(seconds=st.sampled_from([1, LIFETIME_SECONDS - 1, LIFETIME_SECONDS]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    @rule(number=st.integers(0, ADDRESSES - 1))
    def leave(self, number: int) -> None:
        """Somebody leaves the company."""
        email = self.emails[number]
        self.members.discard(email)
        self.run(self.world.rows("DELETE FROM memberships WHERE user_id = $1", self.people[email]))

    @invariant()
    def what_is_shown_is_what_happened(self) -> None:
        """The list of invites and the members agree with the model."""
        if not self.people:
            return
        page = self.run(self.service.list_invites(self.owner, cursor=None, limit=100))
        expected = {
            invite_id: "expired" if told.state == "pending" and told.expires_at <= self.now else told.state
            for invite_id, told in self.told.items()
        }
        assert {invite.id: invite.state for invite in page.items} == expected
        assert list(expected.values()).count("pending") <= MAX_OPEN
        rows = self.run(
            self.world.rows(
                "SELECT user_id FROM memberships WHERE company_id = $1 AND role = 'member'", self.owner.company_id
            )
        )
        assert {row["user_id"] for row in rows} == {self.people[email] for email in self.members}


def test_invites_behave_in_any_order_of_events(database_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url, pool_size=1, session_pool_size=1, acquire_seconds=10, statement_seconds=10)
        runner.run(database.open())
        try:
            run_state_machine_as_test(
                lambda: InviteMachine(runner, World(database)),  # type: ignore[arg-type] # a factory will do
                settings=settings(
                    max_examples=40,
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(database.close())
