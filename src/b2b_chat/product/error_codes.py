"""The table of product_api's refusal codes, made from the refusals themselves."""

from collections.abc import Iterator

import b2b_chat.product.app  # noqa: F401 - it defines every refusal
from b2b_chat.kit.errors import Refusal

_HEAD = """\
# Error codes of product_api

Every refusal has the body `{"detail": {"code", "message", "retryable", "request_id", "param"}}`, and so has the data of
`event: error`. `param` names the field, parameter or header at fault, where there is one. `retryable` says whether the
same request, unchanged, may succeed later; where the answer has `Retry-After`, wait that long first. `request_id` is
that of `X-Request-ID`, under which the server's log has the request.

| Code | Status | Retryable | Meaning | What to do |
| --- | --- | --- | --- | --- |
"""


def all_refusals() -> list[type[Refusal]]:
    """Return every refusal of product_api, by code."""
    ours = (each for each in _below(Refusal) if each.__module__.startswith(("b2b_chat.product", "b2b_chat.kit")))
    found = [each for each in ours if hasattr(each, "code")]
    return sorted(found, key=lambda refusal: (refusal.code, refusal.__name__))


def table() -> str:
    """Return the table, in Markdown."""
    rows: dict[str, list[type[Refusal]]] = {}
    for refusal in all_refusals():
        rows.setdefault(refusal.code, []).append(refusal)
    return _HEAD + "".join(_row(code, group) for code, group in rows.items())


def _row(code: str, group: list[type[Refusal]]) -> str:
    meanings = dict.fromkeys((refusal.__doc__ or "").partition("\n")[0] for refusal in group)
    remedies = dict.fromkeys(refusal.message for refusal in group)
    retryable = "yes" if group[0].retryable else "no"
    cells = (f"`{code}`", str(group[0].status), retryable, " ".join(meanings), " ".join(remedies))
    return f"| {' | '.join(cells)} |\n"


def _below(parent: type[Refusal]) -> Iterator[type[Refusal]]:
    for child in parent.__subclasses__():
        yield child
        yield from _below(child)
