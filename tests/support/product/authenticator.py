"""An authenticator app: it keeps the secret of a second factor, and shows each code once."""

import time
from datetime import UTC, datetime

import httpx
import pyotp

_STEP_SECONDS = 30


class Authenticator:
    """Shows codes of a secret; each call gives the code of the next time step, so that none is a repetition."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret.replace(" ", ""))
        self._step = int(time.time()) // _STEP_SECONDS - 2

    def code(self) -> str:
        """A code that was not shown yet and is accepted now: of the step before, of this one, or of the next."""
        self._step = max(self._step + 1, int(time.time()) // _STEP_SECONDS - 1)
        return self._totp.generate_otp(self._step)

    def code_at(self, at: datetime) -> str:
        """The code of a time."""
        return self._totp.at(at.astimezone(UTC))


async def set_up(http: httpx.AsyncClient) -> tuple[Authenticator, list[str]]:
    """Set up the second factor of a signed-in browser, and return the app and the recovery codes."""
    begun = await http.post("/auth/second-factor/enrolment")
    assert begun.status_code == 201, begun.text
    app = Authenticator(begun.json()["secret"])
    confirmed = await http.post("/auth/second-factor/enrolment/confirmation", json={"code": app.code()})
    assert confirmed.status_code == 200, confirmed.text
    return app, confirmed.json()["recovery_codes"]
