"""Signing in by mail: one challenge with two proofs, the token in a link and a code of six digits."""

import secrets
from datetime import timedelta
from typing import Final

from b2b_chat.kit.clock import Clock
from b2b_chat.kit.database import Database
from b2b_chat.kit.keyed_hash import KeyedHash, new_token
from b2b_chat.product.identity.addresses import canonical
from b2b_chat.product.identity.models import ChallengeState, LoginChallengeRow
from b2b_chat.product.identity.repository.logins import ChallengeRepository, add_challenge
from b2b_chat.product.identity.repository.users import UserRepository
from b2b_chat.product.identity.schemas import LoginProof
from b2b_chat.product.identity.sessions import Browser, Sessions
from b2b_chat.product.limits.service import Limits
from b2b_chat.product.mail.letters import Letter
from b2b_chat.product.mail.service import Outbox
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.vocabulary import Language

MAX_OPEN: Final = 3
"""Challenges of one address that may be open at a time."""
MAX_WRONG_CODES: Final = 5
"""With so many a challenge ends, its link included."""
VERIFY_PATH: Final = "/auth/verify"

_CODES: Final = 1_000_000
_KEEP: Final = timedelta(days=1)
"""How long a challenge is kept after its end."""


class InvalidProof(Refusal):
    """The link or code is wrong, used, over, ended by wrong codes, or of a user who may not sign in."""

    code, status = "invalid_proof", 401
    message = "This link or code does not work (any more). Ask for a new mail."

    def __init__(self) -> None:
        # RFC 9110 wants every 401 to name a scheme.
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class Logins:
    """Asking for a link, and presenting what it brought."""

    def __init__(
        self,
        transaction: TransactionFactory,
        database: Database,
        sessions: Sessions,
        outbox: Outbox,
        limits: Limits,
        settings: ProductSettings,
        clock: Clock,
    ) -> None:
        self._transaction = transaction
        self._database = database
        self._sessions = sessions
        self._outbox = outbox
        self._limits = limits
        secret, previous = settings.auth_token_secret, settings.auth_token_secret_previous
        self._tokens = KeyedHash(secret, previous, purpose="login link")
        self._codes = KeyedHash(secret, previous, purpose="login code")
        self._public_url = settings.public_url.rstrip("/")
        self._lifetime = timedelta(seconds=settings.login_lifetime_seconds)
        self._clock = clock

    async def request_link(self, email: str, language: Language, client_ip: str) -> None:
        """Take down that someone wants to sign in.

        This is the same one statement for every address, known or not, limited or not, so that nothing can be learnt
        from the answer or its time. What comes of it is decided by `decide_requested`, later.

        Raises:
            RateLimited: Too many requests come from this client, whatever the addresses.
            AddressNotSupported: No mail can be sent to the address.
        """
        await self._limits.admit_link_request(client_ip)
        email = canonical(email)
        allowed = await self._limits.allows_link(email, client_ip)
        now = self._clock()
        async with self._database.connection() as connection:
            await add_challenge(
                connection,
                email=email,
                language=language,
                client_ip=client_ip,
                state=ChallengeState.REQUESTED if allowed else ChallengeState.DECLINED,
                now=now,
                expires_at=now + self._lifetime,
            )

    async def decide_requested(self) -> None:
        """Decide what is requested, one after the other, until nothing is left."""
        while await self._decide_next():
            pass

    async def _decide_next(self) -> bool:
        async with self._transaction() as tx:
            challenge = await tx[ChallengeRepository].claim_requested()
            if challenge is None:
                return False
            await tx[ChallengeRepository].lock_address(challenge.email)
            still_open = await tx[ChallengeRepository].lock_open(challenge.email, self._clock())
            if len(still_open) < MAX_OPEN:
                await self._open(tx, challenge)
            else:
                challenge.state = ChallengeState.DECLINED
        return True

    async def _open(self, tx: Transaction, challenge: LoginChallengeRow) -> None:
        """Give a challenge its proofs, and mail them if the address is that of a user who may sign in."""
        token, code = new_token(), f"{secrets.randbelow(_CODES):06d}"
        challenge.state = ChallengeState.OPEN
        challenge.token_hash = self._tokens.hash(token)
        challenge.code_hash = self._codes.hash(_code_of(challenge.email, code))
        challenge.expires_at = self._clock() + self._lifetime
        challenge.user_id = await tx[UserRepository].find_unblocked_id_by_email(challenge.email)
        if challenge.user_id is not None:
            letter = self._letter(challenge, token, code)
            await self._outbox.post(tx, letter, useful_until=challenge.expires_at)

    def _letter(self, challenge: LoginChallengeRow, token: str, code: str) -> Letter:
        fields = {
            # Behind a `#` it stays in the browser: no server's log and no Referer header ever has it.
            "link": f"{self._public_url}{VERIFY_PATH}#{token}",
            "code": code,
            "minutes": str(self._lifetime // timedelta(minutes=1)),
        }
        return Letter("login", "ru" if challenge.language == "ru" else "en", challenge.email, fields)

    async def forget_old(self) -> None:
        """Delete challenges that ended long ago: strangers' addresses are among them."""
        async with self._transaction() as tx:
            await tx[ChallengeRepository].forget(expired_before=self._clock() - _KEEP)

    async def redeem(self, proof: LoginProof, browser: Browser) -> str:
        """Sign a browser in, and return its session's token. A challenge is redeemed once, however many try at once.

        Raises:
            AddressNotSupported: No mail can be sent to the address.
            InvalidProof: The proof is unknown, used, over, or of a user who may not sign in.
            RateLimited: Too many attempts come from this client, or were made to guess this address's code.
        """
        email = canonical(proof.email) if isinstance(proof.email, str) else None
        await self._limits.admit_login(browser.client_ip, email)
        async with self._transaction() as tx:
            if isinstance(proof.token, str):
                session_token = await self._redeem_token(tx, proof.token, browser)
            else:
                session_token = await self._redeem_code(tx, email or "", str(proof.code), browser)
        # Refused only now: wrong codes stay counted when the transaction is committed.
        if session_token is None:
            raise InvalidProof
        return session_token

    async def _redeem_token(self, tx: Transaction, token: str, browser: Browser) -> str | None:
        user_id = await tx[ChallengeRepository].redeem_token(self._tokens.candidates(token), self._clock())
        if user_id is None or not await tx[UserRepository].lock_unblocked(user_id):
            return None
        return await self._sessions.start(tx, user_id, browser)

    async def _redeem_code(self, tx: Transaction, email: str, code: str, browser: Browser) -> str | None:
        """The same for a code. A wrong one counts against every challenge that it might have been meant for."""
        still_open = await tx[ChallengeRepository].lock_open(email, self._clock())
        right = [
            challenge
            for challenge in still_open
            if challenge.code_hash is not None and self._codes.matches(_code_of(email, code), challenge.code_hash)
        ]
        user_id = right[0].user_id if right else None
        if user_id is not None and await tx[UserRepository].lock_unblocked(user_id):
            right[0].state = ChallengeState.REDEEMED
            return await self._sessions.start(tx, user_id, browser)
        for challenge in still_open:
            challenge.wrong_codes += 1
            if challenge.wrong_codes >= MAX_WRONG_CODES:
                challenge.state = ChallengeState.BURNT
        return None


def _code_of(email: str, code: str) -> str:
    """What the code's hash is made of: the same code of another address has another hash."""
    return f"{email}\n{code}"
