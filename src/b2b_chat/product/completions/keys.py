"""How a call is named: the same `Idempotency-Key` of one API key never costs twice."""

import hashlib
import re
from typing import Final

from b2b_chat.kit.database import new_id
from b2b_chat.kit.errors import InvalidRequest
from b2b_chat.kit.text import form
from b2b_chat.product.viewer import Viewer

HEADER: Final = "Idempotency-Key"
KEY: Final = form(r"^[ -~]{1,255}\Z", "printable ASCII of at most 255 characters")
"""The form of such a key."""


def name_of_call(viewer: Viewer, key: str | None) -> str:
    """Return under which name a call is remembered; each call without a key has a new one.

    A key is hashed, since it may be longer than a name, and each API key has names of its own.

    Raises:
        InvalidRequest: The key is no key.
    """
    if key is None:
        return f"oai:{new_id().hex}"
    if not re.fullmatch(KEY, key):
        raise InvalidRequest(f"{HEADER}: printable ASCII, at most 255 characters.", param=HEADER)
    return f"oai:{viewer.credential_id.hex}:{hashlib.sha256(key.encode()).hexdigest()}"
