"""Signing in by mail: one challenge with two proofs, the token in a link and a code of eight digits.

A code can be guessed, so it belongs to the browser that asked for it: that gets a `login_request`, and wrong codes that
come with it count against its challenges alone. Codes without it count apart, so that no stranger ends another's code.
No wrong code ends a link, whose token cannot be guessed.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from prometheus_client import Counter

from b2b_chat.kit.clock import Clock
from b2b_chat.kit.database import Database
from b2b_chat.kit.keyed_hash import KeyedHash, new_token
from b2b_chat.product.audit.actions import Action
from b2b_chat.product.audit.actors import STRANGER
from b2b_chat.product.audit.tallies import Tallies
from b2b_chat.product.identity.addresses import canonical
from b2b_chat.product.identity.known_browsers import KnownBrowsers
from b2b_chat.product.identity.login_mails import LoginMails
from b2b_chat.product.identity.models import ChallengeState, LoginChallengeRow
from b2b_chat.product.identity.repository.logins import ChallengeRepository, Redeemed, add_challenge
from b2b_chat.product.identity.repository.users import UserRepository
from b2b_chat.product.identity.schemas import LoginLink, LoginProof
from b2b_chat.product.identity.sessions import Browser, Sessions
from b2b_chat.product.limits.service import RateLimited
from b2b_chat.product.mail.service import Outbox
from b2b_chat.product.refusals import Refusal
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import Transaction, TransactionFactory
from b2b_chat.product.vocabulary import Language

MAX_WRONG_CODES: Final = 5
"""With so many wrong codes the codes of their sender end; the links stay valid."""

_DAY: Final = timedelta(days=1)
_KEEP: Final = _DAY
"""How long an ended challenge is kept: as long as its wrong codes count."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")

_WRONG_CODES = Counter("product_wrong_login_codes", "Codes to sign in with that were wrong, for any address.")


class InvalidProof(Refusal):
    """The link or code is wrong, used, over, ended by wrong codes, or of a user who may not sign in."""

    code, status = "invalid_proof", 401
    message = "This link or code does not work (any more). Try the link in the mail, or ask for a new mail."

    def __init__(self) -> None:
        # RFC 9110 wants every 401 to name a scheme.
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class SignedIn(Struct, frozen=True):
    """The cookies of a browser that has signed in."""

    session_token: str
    known_browser: str
    """The cookie that recognises it the next time."""


class Logins:
    """Requests for login mails, and sign-ins by their links and codes."""

    def __init__(
        self,
        transaction: TransactionFactory,
        database: Database,
        sessions: Sessions,
        outbox: Outbox,
        tallies: Tallies,
        settings: ProductSettings,
        clock: Clock,
    ) -> None:
        self._transaction = transaction
        self._database = database
        self._sessions = sessions
        self._tallies = tallies
        secret, previous = settings.auth_token_secret, settings.auth_token_secret_previous
        self._tokens = KeyedHash(secret, previous, purpose="login link")
        self._codes = KeyedHash(secret, previous, purpose="login code")
        self._requests = KeyedHash(secret, previous, purpose="login request")
        self._known_browsers = KnownBrowsers(settings, clock)
        self._mails = LoginMails(outbox, self._tokens, self._codes, settings, clock)
        self._lifetime = timedelta(seconds=settings.login_lifetime_seconds)
        self._guesses_per_day = settings.login_guesses_per_email_day
        self._clock = clock

    async def request_link(self, email: str, language: Language, browser: Browser) -> str:
        """Record a request to sign in, and return the value that belongs with the code.

        This is one and the same statement for every address, known or not, limited or not, so that the response and its
        time reveal nothing. `decide_requested` decides about it later.

        Raises:
            AddressNotSupported: No mail can be sent to the address.
        """
        email = canonical(email)
        # A browser that asks again keeps its value, so that the codes of all its mails are valid there.
        login_request = browser.login_request or ""
        if not _TOKEN.fullmatch(login_request):
            login_request = new_token()
        now = self._clock()
        async with self._database.connection() as connection:
            await add_challenge(
                connection,
                email=email,
                language=language,
                client_ip=browser.client_ip,
                request_hash=self._requests.hash(login_request),
                known_browser_hash=self._known_browsers.recognise(email, browser.known_browser),
                now=now,
                expires_at=now + self._lifetime,
            )
        return login_request

    async def decide_requested(self) -> None:
        """Decide about all requests, one after the other."""
        while await self._decide_next():
            pass

    async def _decide_next(self) -> bool:
        async with self._transaction() as tx:
            challenge = await tx[ChallengeRepository].claim_requested()
            if challenge is None:
                return False
            await self._mails.decide(tx, challenge)
        return True

    async def forget_old(self) -> None:
        """Delete challenges that ended long ago: strangers' addresses are among them."""
        async with self._transaction() as tx:
            await tx[ChallengeRepository].forget(expired_before=self._clock() - _KEEP)

    async def show_link(self, token: str, browser: Browser) -> LoginLink:
        """Return whom a link would sign in, and change nothing: so people notice a link to another person's account.

        Raises:
            InvalidProof: The link is unknown, used or over.
        """
        async with self._transaction() as tx:
            challenge = await tx[ChallengeRepository].find_open_by_token(self._tokens.candidates(token), self._clock())
        if challenge is None:
            raise InvalidProof
        return LoginLink(challenge.email, self._is_of(challenge, self._requests_of(browser.login_request)))

    async def redeem(self, proof: LoginProof, browser: Browser) -> SignedIn:
        """Sign a browser in. A challenge is redeemed once, however many try at once.

        Raises:
            AddressNotSupported: No mail can be sent to the address.
            InvalidProof: The proof is unknown, used, over, or of a user who may not sign in.
            RateLimited: Too many wrong codes came for this address.
        """
        email = canonical(proof.email) if isinstance(proof.email, str) else None
        async with self._transaction() as tx:
            if isinstance(proof.token, str):
                signed_in = await self._redeem_token(tx, proof.token, browser)
            else:
                login_request = proof.login_request if isinstance(proof.login_request, str) else browser.login_request
                code = str(proof.code).replace(" ", "")
                signed_in = await self._redeem_code(tx, email or "", code, login_request, browser)
            # Known and unknown addresses get the same answer: only the log distinguishes them.
            meant = None if signed_in or email is None else await tx[UserRepository].find_id_by_email(email)
        # Refused only now: wrong codes stay counted when the transaction is committed.
        if signed_in is None:
            if email is not None:
                _WRONG_CODES.inc()
            targets = {} if meant is None else {"user_id": meant}
            await self._tallies.record(STRANGER, Action.SESSION_START, targets=targets, refusal=InvalidProof.code)
            raise InvalidProof
        return signed_in

    async def _redeem_token(self, tx: Transaction, token: str, browser: Browser) -> SignedIn | None:
        redeemed = await tx[ChallengeRepository].redeem_token(self._tokens.candidates(token), self._clock())
        return None if redeemed is None else await self._sign_in(tx, redeemed, browser)

    async def _redeem_code(
        self, tx: Transaction, email: str, code: str, login_request: str | None, browser: Browser
    ) -> SignedIn | None:
        """The same for a code.

        It is compared with the challenges of this browser, and a wrong one counts there. A caller without an open
        challenge is a stranger, whose wrong codes count apart.
        """
        await tx[ChallengeRepository].lock_name(email)
        still_open = await tx[ChallengeRepository].lock_open(email, self._clock())
        requests = self._requests_of(login_request)
        own = [challenge for challenge in still_open if self._is_of(challenge, requests)]
        await self._refuse_guesser(tx, email, own)
        if sum(challenge.wrong_codes for challenge in own) >= MAX_WRONG_CODES:
            return None
        for challenge in own or still_open:
            if self._mails.has_code(challenge, code) and challenge.user_id is not None:
                signed_in = await self._sign_in(tx, Redeemed(challenge.user_id, email), browser)
                if signed_in is not None:
                    challenge.state = ChallengeState.REDEEMED
                    return signed_in
        if own:
            own[0].wrong_codes += 1
        elif still_open:
            still_open[0].strangers_wrong_codes += 1
        return None

    async def _sign_in(self, tx: Transaction, redeemed: Redeemed, browser: Browser) -> SignedIn | None:
        """Start a session after a valid proof; the only place that does. Return None for a blocked user."""
        if not await tx[UserRepository].lock_unblocked(redeemed.user_id):
            return None
        session_token = await self._sessions.start(tx, redeemed.user_id, browser)
        return SignedIn(session_token, self._known_browsers.cookie_for(redeemed.email))

    async def _refuse_guesser(self, tx: Transaction, email: str, own: Sequence[LoginChallengeRow]) -> None:
        """Refuse a code where the day's guesses for its address are used up.

        Raises:
            RateLimited: They are, by this browser, by browsers that never signed in with it, or by strangers.
        """
        now = self._clock()
        by_askers, by_strangers = await tx[ChallengeRepository].count_wrong_codes(
            email, known_browser_hash=own[0].known_browser_hash if own else None, expires_after=now - _DAY
        )
        wrong = by_askers if own else by_strangers
        if wrong.number >= self._guesses_per_day:
            raise RateLimited(_seconds_until(wrong.first_expires_at or now, now))

    def _requests_of(self, login_request: str | None) -> list[bytes]:
        return self._requests.candidates(login_request) if login_request else []

    @staticmethod
    def _is_of(challenge: LoginChallengeRow, requests: Sequence[bytes]) -> bool:
        return challenge.request_hash is not None and challenge.request_hash in requests


def _seconds_until(first_expires_at: datetime, now: datetime) -> int:
    """Return the whole seconds after which the first wrong codes of the day no longer count."""
    return int((first_expires_at + _DAY - now).total_seconds()) + 1
