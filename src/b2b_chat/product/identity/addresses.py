"""Mail addresses: one canonical form for each mailbox, however its domain is written."""

import re
from typing import Final

import idna

from b2b_chat.product.refusals import Refusal

LONGEST_ADDRESS: Final = 254
_LOCAL_PART: Final = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_DOMAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


class AddressNotSupported(Refusal):
    """An address to which no mail can be sent."""

    code, status = "address_not_supported", 422
    message = "No mail can be sent to this address: its name has letters beyond ASCII, or its domain cannot exist."


def canonical(address: str) -> str:
    """Return the address as it is kept and looked for: in lower case, an internationalised domain as `xn--…`.

    Raises:
        AddressNotSupported: It has no such form. A name beyond ASCII would need mail servers with SMTPUTF8 all the way.
    """
    local_part, _, domain = address.rpartition("@")
    local_part, domain = local_part.lower(), _ascii_domain(domain)
    found = f"{local_part}@{domain}"
    if not (_LOCAL_PART.fullmatch(local_part) and _DOMAIN.fullmatch(domain) and len(found) <= LONGEST_ADDRESS):
        raise AddressNotSupported
    return found


def searched(part: str) -> str:
    """Return a part of an address in its canonical form, where its domain is complete."""
    local_part, at, domain = part.rpartition("@")
    return f"{local_part}{at}{_ascii_domain(domain) or domain}"


def _ascii_domain(domain: str) -> str:
    """Return a domain in ASCII; empty where it has no such form."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return ""
