"""Decisions about requests for login mails, and the mails' contents.

Granted requests are counted with the challenges: a declined request uses nothing up. With the defaults, strangers'
requests are declined only while mails with live links lie in the mailbox, so that they keep no owner out; and a
browser that signed in before has its own share.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from b2b_chat.kit.clock import Clock
from b2b_chat.kit.keyed_hash import KeyedHash, new_token
from b2b_chat.product.identity.models import ChallengeState, LoginChallengeRow
from b2b_chat.product.identity.repository.logins import ChallengeRepository
from b2b_chat.product.identity.repository.users import LoginAccount, UserRepository
from b2b_chat.product.limits.client_ip import limited_as
from b2b_chat.product.limits.mailboxes import limited_domain_of, mailbox_of
from b2b_chat.product.mail.letters import Letter
from b2b_chat.product.mail.service import Outbox
from b2b_chat.product.settings import ProductSettings
from b2b_chat.product.transactions import Transaction

MAX_OPEN: Final = 3
"""Open challenges of one address at a time: for each browser that signed in with it, and for all others together."""
VERIFY_PATH: Final = "/auth/verify"

_CODE_DIGITS: Final = 8
_HOUR: Final = timedelta(hours=1)


class LoginMails:
    """Decides about requests for a login mail.

    Args:
        outbox: Takes the mails.
        tokens: Hashes the links' tokens.
        codes: Hashes the codes.
        settings: How many mails there may be.
        clock: The current time.
    """

    def __init__(
        self, outbox: Outbox, tokens: KeyedHash, codes: KeyedHash, settings: ProductSettings, clock: Clock
    ) -> None:
        self._outbox = outbox
        self._tokens = tokens
        self._codes = codes
        self._settings = settings
        self._verify_url = f"{settings.public_url.rstrip('/')}{VERIFY_PATH}"
        self._lifetime = timedelta(seconds=settings.login_lifetime_seconds)
        self._clock = clock

    async def decide(self, tx: Transaction, challenge: LoginChallengeRow) -> None:
        """Open a requested challenge, or decline it."""
        await tx[ChallengeRepository].lock_name(challenge.email)
        if await self._is_granted(tx, challenge):
            await self._open(tx, challenge)
        else:
            challenge.state = ChallengeState.DECLINED

    def has_code(self, challenge: LoginChallengeRow, code: str) -> bool:
        """Return whether a challenge has this code."""
        kept = challenge.code_hash
        return kept is not None and self._codes.matches(_code_of(challenge.email, code), kept)

    async def _is_granted(self, tx: Transaction, challenge: LoginChallengeRow) -> bool:
        """Return whether there is room: each browser that signed in with the address has its own, others share one."""
        email, known = challenge.email, challenge.known_browser_hash
        still_open = await tx[ChallengeRepository].lock_open(email, self._clock())
        opened = await tx[ChallengeRepository].list_opened(email, expires_after=self._an_hour_ago())
        if sum(other.known_browser_hash == known for other in still_open) >= MAX_OPEN:
            return False
        mails = [other for other in opened if other.known_browser_hash == known]
        if known is not None:
            return len(mails) < self._settings.login_mails_per_known_browser_hour
        here = limited_as(challenge.client_ip)
        from_here = sum(limited_as(other.client_ip) == here for other in mails)
        return (
            len(mails) < self._settings.login_mails_per_email_hour
            and from_here < self._settings.login_mails_per_email_ip_hour
        )

    async def _open(self, tx: Transaction, challenge: LoginChallengeRow) -> None:
        """Give a challenge its proofs, and mail them if a user has this address and something to sign in for."""
        now = self._clock()
        # Before anything is changed: the look-up would write that down, and a known user's id in a statement more.
        account = await tx[UserRepository].find_login_account(challenge.email, now)
        token, code = new_token(), f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}d}"
        challenge.state = ChallengeState.OPEN
        challenge.token_hash = self._tokens.hash(token)
        challenge.code_hash = self._codes.hash(_code_of(challenge.email, code))
        challenge.expires_at = now + self._lifetime
        letter = self._letter(challenge, token, code)
        if account is None or not await self._may_be_mailed(tx, challenge, account):
            self._outbox.rehearse(letter)
            return
        challenge.user_id = account.user_id
        await self._outbox.post(tx, letter, useful_until=challenge.expires_at)

    async def _may_be_mailed(self, tx: Transaction, challenge: LoginChallengeRow, account: LoginAccount) -> bool:
        """Return whether to mail the user. Someone in no company gets few mails, and only while an invite is open."""
        if account.has_joined:
            return True
        if not account.is_invited:
            return False
        mailbox, domain = mailbox_of(challenge.email), limited_domain_of(challenge.email)
        await tx[ChallengeRepository].lock_name(f"mailbox {mailbox}")
        if domain is not None:
            await tx[ChallengeRepository].lock_name(f"domain {domain}")
        to_mailbox, to_domain = await tx[ChallengeRepository].count_invited(
            mailbox=mailbox, domain=domain, expires_after=self._an_hour_ago()
        )
        if (
            to_mailbox >= self._settings.login_mails_per_invited_mailbox_hour
            or to_domain >= self._settings.login_mails_per_invited_domain_hour
        ):
            return False
        challenge.invited_mailbox, challenge.invited_domain = mailbox, domain
        return True

    def _an_hour_ago(self) -> datetime:
        """Return when a challenge ends that was opened an hour ago."""
        return self._clock() - _HOUR + self._lifetime

    def _letter(self, challenge: LoginChallengeRow, token: str, code: str) -> Letter:
        fields = {
            # Behind a `#` it stays in the browser: it is in no server's log and in no Referer header.
            "link": f"{self._verify_url}#{token}",
            "code": f"{code[: _CODE_DIGITS // 2]} {code[_CODE_DIGITS // 2 :]}",
            "minutes": str(self._lifetime // timedelta(minutes=1)),
        }
        return Letter("login", "ru" if challenge.language == "ru" else "en", challenge.email, fields)


def _code_of(email: str, code: str) -> str:
    """Return the text of the code's hash, so that the same code of another address has another hash."""
    return f"{email}\n{code}"
