"""What the login and session API takes and answers."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from b2b_chat.kit.text import form
from b2b_chat.product.identity.addresses import LONGEST_ADDRESS
from b2b_chat.product.vocabulary import Language, Role, Scope

_ASCII_ADDRESS: Final = form(
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$", "a mail address in ASCII"
)

Email = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=LONGEST_ADDRESS,
        # Letters beyond ASCII too: an address that cannot be mailed is refused by a code of its own.
        pattern=form(
            r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\uffff-]{1,64}@"
            r"[A-Za-z0-9\u0080-\uffff]([A-Za-z0-9\u0080-\uffff.-]*[A-Za-z0-9\u0080-\uffff])?\Z",
            "a mail address",
        ),
        description="A mail address with a name in ASCII; capitals, and `xn--` or not in its domain, do not matter",
        # For the document only: a JSON schema cannot say which names beyond ASCII a domain may have.
        extra_json_schema={"extra": {"pattern": _ASCII_ADDRESS}},
        examples=["ann@example.test"],
    ),
]
"""The mail address of a person. `addresses.canonical` has the form in which it is kept and looked for."""


Token = Annotated[str, Meta(min_length=1, max_length=100)]


# Six digits: what releases before this one have mailed.
Code = Annotated[str, Meta(pattern=form(r"^([0-9]{4} ?[0-9]{4}|[0-9]{6})\Z", "eight digits"), examples=["1234 5678"])]


class LinkRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants to sign in, and the language of the mail; by default that of `Accept-Language`."""

    email: Email
    language: Language | None = None


class LinkRequested(Struct, frozen=True):
    """The request was taken; this is said of every address."""

    status: Literal["accepted"]
    login_request: str
    """To be sent along with the code: wrong codes of others then do not count against yours. Browsers have it as a
    cookie."""


class LinkToken(Struct, frozen=True, forbid_unknown_fields=True):
    """The token of a link."""

    token: Token


class LoginLink(Struct, frozen=True):
    """What a link does."""

    email: str
    """Whom it signs in."""
    is_asked_for_here: bool
    """This browser asked for it."""


class LoginProof(Struct, frozen=True, forbid_unknown_fields=True):
    """What came by mail: the link's `token`, or the `code` together with the `email` that it was sent to.

    With the code goes what the request for it was answered with, `login_request`, unless a cookie brings it.
    """

    token: Token | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    code: Code | UnsetType = UNSET
    """The code that the mail shows."""
    login_request: Token | UnsetType = UNSET

    def __post_init__(self) -> None:
        by_token = self.token is not UNSET and self.email is self.code is self.login_request is UNSET
        by_code = self.token is UNSET and self.email is not UNSET and self.code is not UNSET
        if not (by_token or by_code):
            raise ValueError("send either token, or email and code")


class MyCompany(Struct, frozen=True):
    """A company that you belong to."""

    id: UUID
    name: str
    role: Role
    is_blocked: bool
    """You cannot act in it now: it was blocked, or you were in it."""


class Me(Struct, frozen=True):
    """You."""

    user_id: UUID
    email: str
    via: Literal["session", "api_key"]
    is_operator: bool
    company: MyCompany | None
    """The one that you are acting in."""
    companies: list[MyCompany]
    """All that you belong to, the latest joined first."""


class CompanyChoice(Struct, frozen=True, forbid_unknown_fields=True):
    """Which of your companies to act in."""

    company_id: UUID


class SessionShown(Struct, frozen=True):
    """A browser in which you are signed in."""

    id: UUID
    is_current: bool
    """The one that asks."""
    user_agent: str
    client_ip: str
    created_at: datetime
    last_seen_at: datetime
    """Exact to a minute."""
    expires_at: datetime


class SessionList(Struct, frozen=True):
    """Where you are signed in, newest first."""

    items: list[SessionShown]
    next_cursor: None = None


class ApiKey(Struct, frozen=True):
    """A key of the company, without its secret part."""

    id: UUID
    name: str
    prefix: str
    """How the key begins, to recognise it by."""
    scopes: list[Scope]
    user_id: UUID
    """The user for whom it acts."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewApiKey(Struct, frozen=True):
    """A key that was just made."""

    api_key: ApiKey
    key: str
    """The key itself. It is shown this once and cannot be seen again."""
