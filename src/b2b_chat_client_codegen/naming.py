"""Which method of which resource an operation is: by its path, unless it has a better name here."""

from dataclasses import dataclass
from typing import Final

from b2b_chat_client_codegen.document import Operation

_OVERRIDES: Final = {
    "acceptInvite": None,
    "addCredits": "admin.companies.add_credits",
    "addOwnMasking": "company.masking.set_own",
    "adjustCredits": "admin.companies.adjust_credits",
    "changeMasking": "company.masking.change",
    "changeMaskingTerms": "company.masking.change_terms",
    "chooseCompany": None,
    "eraseConversation": "conversations.erase",
    "exportAudit": "admin.audit.export",
    "exportLedger": "ledger.export",
    "followAnswer": None,
    "getBalance": "ledger.balance",
    "getCompanyUsage": "usage.company",
    "getMaskingTerms": "company.masking.get_terms",
    "getMyUsage": "usage.mine",
    "listCompanyLedger": "admin.companies.ledger",
    "listMemberUsage": "usage.members",
    "listMessages": "messages.list",
    "previewMasking": "company.masking.preview",
    "removeMember": "company.members.remove",
    "renameConversation": "conversations.rename",
    "resetMemberSecondFactor": "company.members.reset_second_factor",
    "resetUserSecondFactor": "admin.users.reset_second_factor",
    "revokeApiKey": "company.keys.revoke",
    "revokeInvite": "company.invites.revoke",
    "revokeOperatorKey": "admin.keys.revoke",
    "sendMessage": None,
}
"""None for what the core has by hand, and for what only a person signed in may do."""
_LEFT_OUT: Final = ("auth", "invites", "health", "ready", "docs", "openapi", "v1/models", "v1/responses")
"""What is not called with a key of a company, is a page, or has OpenAI's own clients."""
_COMPLETIONS: Final = "v1/chat/completions"
_WORDS: Final = {"api-keys": "keys"}
_VERBS: Final = {"GET": "get", "PATCH": "update", "PUT": "set", "DELETE": "delete", "POST": "create"}


@dataclass(frozen=True)
class Place:
    """A method of a resource."""

    resource: tuple[str, ...]
    method: str


def place_of(operation: Operation) -> Place | None:
    """Return where an operation is, or None where the client has no method for it."""
    if operation.id in _OVERRIDES:
        dotted = _OVERRIDES[operation.id]
        return None if dotted is None else _place(dotted.split("."))
    path = operation.path.strip("/")
    if path.startswith((*(f"{word}/" for word in _LEFT_OUT), _COMPLETIONS)) or path in _LEFT_OUT:
        return None
    parts = path.removeprefix("v1/").split("/")
    words = [_word(part) for part in parts if not part.startswith("{")]
    if parts[-1].startswith("{"):
        return Place(tuple(words), _VERBS[operation.method])
    acts = operation.method == "POST" and len(parts) > 1 and parts[-2].startswith("{")
    if acts:
        return _place(words)
    return Place(tuple(words), "list" if operation.is_page else _VERBS[operation.method])


def _place(words: list[str]) -> Place:
    return Place(tuple(words[:-1]), words[-1])


def _word(part: str) -> str:
    return _WORDS.get(part, part).replace("-", "_")
