"""Why a text is not sent."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from prometheus_client import Counter

from b2b_chat.product.refusals import Refusal

Unmasked: TypeAlias = Literal["detector", "policy", "masks"]
"""What failed: finding values, reading the company's policy, or applying stored masks to their text."""

_FAILURES: Final = Counter("product_masking_failures", "Texts that could not be masked, by what failed.", ["problem"])
for _problem in get_args(Unmasked):
    _FAILURES.labels(_problem)  # there from the start: an alert sees the first failure as an increase

_RETRY_AFTER_SECONDS: Final = 5
_NONE: Final[Mapping[str, int]] = {}


class MaskingUnavailable(Refusal):
    """Personal data could not be looked for, so nothing was stored, held or sent."""

    code, status, retryable = "masking_unavailable", 503, True
    message = "Personal data cannot be masked now, so nothing was sent. Try again with the same id."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(_RETRY_AFTER_SECONDS)})

    @classmethod
    def because_of(cls, problem: Unmasked) -> "MaskingUnavailable":
        """Count a failure, and return the refusal that it leads to."""
        _FAILURES.labels(problem).inc()
        return cls()


class UnmaskableContent(Refusal):
    """There are images, which cannot be masked, and the policy in force hides what they may show."""

    code, status = "unmaskable_content", 422
    message = "Images cannot be masked, and your company hides personal data. Leave them out, or ask your admin."


class PersonalDataBlocked(Refusal):
    """The company's policy blocks kinds of data that the text has."""

    code, status = "personal_data_blocked", 422
    message = "Your company does not let this kind of data be sent. Remove it, and send the text as a new message."

    def __init__(self, counts: Mapping[str, int] = _NONE) -> None:
        self.counts = dict(counts)
        """How many there are of each kind; values are never reported."""
        found = ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
        super().__init__(f"{self.message.removesuffix('.')}. Found: {found}." if found else None)
