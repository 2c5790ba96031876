"""Setting up a second factor, proving it, and taking it away.

It is asked only of those who have proved the first one, so that a stranger can neither guess codes nor use up guesses.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from b2b_chat.kit.clock import Clock, utc_now
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import Actor, actor_of
from b2b_chat.product.audit.service import record_action
from b2b_chat.product.identity import sessions, users
from b2b_chat.product.limits.service import RateLimited
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.second_factor.codes import Factor, FactorSeal, new_factor, uri_of
from b2b_chat.product.second_factor.models import SecondFactorRow
from b2b_chat.product.second_factor.repository import SecondFactorRepository
from b2b_chat.product.second_factor.schemas import RecoveryCodes, SecondFactorSetUp, SecondFactorStatus
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.viewer import Viewer

_HOUR: Final = timedelta(hours=1)
_RESEALED_AT_ONCE: Final = 100


class SecondFactorNotNeeded(Refusal):
    """No second factor is asked of the person."""

    code, status = "second_factor_not_needed", 409
    message = "No second factor is asked of you, so there is none to set up."


class SecondFactorNotSetUp(Refusal):
    """The person has no second factor, or has not begun to set one up."""

    code, status = "second_factor_not_set_up", 409
    message = "Set up a second factor first: POST /auth/second-factor/enrolment."


class SecondFactorWrong(Refusal):
    """The code is wrong, over, or was used before."""

    code, status = "second_factor_wrong", 403
    message = "This code is wrong or was used. Wait for the next one."


class SecondFactorProtected(Refusal):
    """The second factor protects more than the caller may decide about."""

    code, status = "second_factor_protected", 403
    message = "An operator's is reset in a shell on the server; that of a person of several companies by an operator."


async def is_guarding_more(tx: Transaction, user_id: UUID, company_id: UUID | None) -> bool:
    """Whether a person's second factor guards more than a company; without a company, an operator's rights."""
    factors = tx[SecondFactorRepository]
    if await factors.is_operator(user_id):
        return True
    return company_id is not None and await factors.is_elsewhere(user_id, company_id)


async def reset_second_factor(tx: Transaction, actor: Actor, clock: Clock, user_id: UUID) -> None:
    """Forget a person's second factor and end their sessions: after the next sign-in they set up another one."""
    was_set_up = await tx[SecondFactorRepository].remove(user_id)
    await sessions.end_all(tx, user_id, clock())
    await record_action(
        tx,
        actor,
        Action.SECOND_FACTOR_RESET,
        targets={"user_id": user_id},
        before={"second_factor": was_set_up},
        after={"second_factor": False},
    )


class SecondFactors:
    """The second factors of people, each for its own person."""

    def __init__(self, transaction: TransactionFactory, settings: ProductSettings, *, clock: Clock = utc_now) -> None:
        self._transaction = transaction
        self._seal = FactorSeal(settings.auth_token_secret, settings.auth_token_secret_previous)
        self._guesses = settings.second_factor_guesses_per_hour
        self._fresh = timedelta(seconds=settings.step_up_seconds)
        self._clock = clock

    async def status(self, viewer: Viewer) -> SecondFactorStatus:
        """Return the state of the viewer's."""
        async with self._transaction() as tx:
            row = await tx[SecondFactorRepository].find(viewer.user_id)
        factor = None if row is None or row.sealed is None else self._seal.open(row.sealed)
        return SecondFactorStatus(
            is_needed=viewer.needs_second_factor,
            is_set_up=row is not None and row.sealed is not None,
            proved_at=viewer.proved_at,
            recovery_codes_left=len(factor.recovery_hashes) if factor else 0,
        )

    async def begin(self, viewer: Viewer) -> SecondFactorSetUp:
        """Make a second factor that counts once a code of it is confirmed; one that counts goes on until then.

        Raises:
            SecondFactorNotNeeded: None is asked of the viewer.
            StepUpRequired: The viewer has one, and has not proved it recently.
        """
        if not viewer.needs_second_factor:
            raise SecondFactorNotNeeded
        factor, _ = new_factor()
        async with self._transaction() as tx:
            row = await tx[SecondFactorRepository].get_or_add_locked(viewer.user_id, self._seal.name)
            if row.sealed is not None:
                viewer.require_fresh_proof(self._clock() - self._fresh)
            row.sealed_pending = self._seal.close(factor)
            email = await users.address_of(tx, viewer.user_id)
        return SecondFactorSetUp(factor.secret, uri_of(factor, email))

    async def confirm(self, viewer: Viewer, code: str) -> RecoveryCodes:
        """Let the second factor that was begun count from now on; it is proved with that.

        Raises:
            SecondFactorNotSetUp: None was begun.
            SecondFactorWrong: This is no code of it now.
            RateLimited: The viewer has entered too many wrong codes.
        """
        async with self._transaction() as tx:
            row = await tx[SecondFactorRepository].find_locked(viewer.user_id)
            begun = None if row is None or row.sealed_pending is None else self._seal.open(row.sealed_pending)
            if row is None or begun is None:
                raise SecondFactorNotSetUp
            self._refuse_guessing(row)
            if row.sealed is not None:
                viewer.require_fresh_proof(self._clock() - self._fresh)
            step = begun.step_of(code, self._clock(), after=0)
            if step is not None:
                # The codes are made only now: nobody has seen those of one that never counted.
                made, recovery_codes = new_factor()
                row.sealed = self._seal.close(Factor(begun.secret, made.recovery_hashes))
                row.sealed_pending, row.sealed_under, row.last_step = None, self._seal.name, step
                await self._proved(tx, viewer, Action.SECOND_FACTOR_SET_UP, len(recovery_codes))
                return RecoveryCodes(recovery_codes)
            self._count_wrong(row)
        # Refused only now: wrong codes stay counted when the transaction is committed.
        raise SecondFactorWrong

    async def prove(self, viewer: Viewer, code: str) -> None:
        """Let the viewer's session do what takes a second factor.

        Raises:
            SecondFactorNotSetUp: The viewer has none.
            SecondFactorWrong: The code is wrong or was used.
            RateLimited: The viewer has entered too many wrong codes.
        """
        async with self._transaction() as tx:
            row = await tx[SecondFactorRepository].find_locked(viewer.user_id)
            if row is None or row.sealed is None:
                raise SecondFactorNotSetUp
            self._refuse_guessing(row)
            factor = self._seal.open(row.sealed)
            left = None if factor is None else self._use(row, factor, code)
            if left is not None:
                await self._proved(tx, viewer, Action.SECOND_FACTOR_PROVE, left)
                return
            self._count_wrong(row)
        raise SecondFactorWrong

    async def reseal(self) -> None:
        """Encrypt under the current secret what was encrypted under the one before it."""
        async with self._transaction() as tx:
            for row in await tx[SecondFactorRepository].list_sealed_otherwise(self._seal.name, limit=_RESEALED_AT_ONCE):
                factor = None if row.sealed is None else self._seal.open(row.sealed)
                if factor is not None:
                    row.sealed, row.sealed_pending, row.sealed_under = self._seal.close(factor), None, self._seal.name

    def _use(self, row: SecondFactorRow, factor: Factor, code: str) -> int | None:
        """Use up a code, and return how many recovery codes are left; None where it is not right."""
        if code.isdecimal():
            step = factor.step_of(code, self._clock(), after=row.last_step)
            if step is None:
                return None
            row.last_step = step
            return len(factor.recovery_hashes)
        without = factor.without(code)
        if without is None:
            return None
        row.sealed, row.sealed_under = self._seal.close(without), self._seal.name
        return len(without.recovery_hashes)

    def _refuse_guessing(self, row: SecondFactorRow) -> None:
        now = self._clock()
        lately = [at for at in row.wrong_at if at > now - _HOUR]
        if len(lately) >= self._guesses:
            raise RateLimited(int((min(lately) + _HOUR - now).total_seconds()) + 1)

    def _count_wrong(self, row: SecondFactorRow) -> None:
        now = self._clock()
        row.wrong_at = [*(at for at in row.wrong_at if at > now - _HOUR), now]

    async def _proved(self, tx: Transaction, viewer: Viewer, action: Action, recovery_codes_left: int) -> None:
        await sessions.note_proof(tx, viewer.credential_id, self._clock())
        await record_action(
            tx,
            actor_of(viewer),
            action,
            targets={"session_id": viewer.credential_id},
            after={"recovery_codes_left": recovery_codes_left},
        )
