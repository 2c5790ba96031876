"""What is done with the values of a message: the policy in force, with the lists that bear on it."""

from typing import NamedTuple

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.policy import Policy
from b2b_chat.product.masking.terms import AllowList, Terms


class Rules(NamedTuple):
    """What is done with the values of a message."""

    policy: Policy
    is_off: bool
    """Whether the policy neither masks nor blocks anything."""
    key: str
    """Under which texts are masked by these rules; see `masking.policy.InForce`."""
    terms: Terms = Terms(())
    """The company's own words."""
    allowed: AllowList = AllowList()
    """What the company lets through."""
    floor: frozenset[Kind] = frozenset()
    """The kinds that the allow-list cannot let through."""
    allows_images: bool = False
    """Whether images may go out, although nothing in them can be masked."""
