"""Bodies of the API about second factors."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from b2b_chat.kit.text import form


class SecondFactorStatus(Struct, frozen=True):
    """The state of your second factor."""

    is_needed: bool
    """Whether one is asked of you: operators, and admins of a company that wants it."""
    is_set_up: bool
    proved_at: datetime | None
    """When this session last proved it."""
    recovery_codes_left: int


class SecondFactorSetUp(Struct, frozen=True):
    """A second factor that counts once a code of it is entered. The secret is shown this once."""

    secret: str
    """For an authenticator app, in base 32."""
    uri: str
    """The same as `otpauth://…`, for apps that open it."""


class SecondFactorCode(Struct, frozen=True, forbid_unknown_fields=True):
    """Six digits from the app, or a recovery code."""

    code: Annotated[
        str,
        Meta(
            pattern=form(r"^([0-9]{6}|[a-z2-7]{4}(-[a-z2-7]{4}){3})\Z", "six digits or a recovery code"),
            examples=["123456"],
        ),
    ]
    """The digits, or the recovery code."""


class RecoveryCodes(Struct, frozen=True):
    """Each signs in once in place of a code from the app. They are shown this once."""

    recovery_codes: list[str]
