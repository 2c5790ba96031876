"""By which numbers, names and words the errors of OpenAI, and of servers that speak its language, are classified.

Sources: https://platform.openai.com/docs/guides/error-codes, and the error bodies of Azure, Google, Anthropic, Groq,
OpenRouter, DeepSeek and vLLM.
"""

import re
from typing import Final

from b2b_chat.contract.errors import Code

BY_STATUS: Final[dict[int, Code]] = {
    400: "upstream_rejected",
    401: "upstream_authentication",
    402: "upstream_quota_exhausted",
    403: "upstream_permission",
    404: "upstream_not_found",
    405: "upstream_not_found",
    408: "upstream_timeout",
    409: "upstream_conflict",
    410: "upstream_not_found",
    413: "upstream_payload_too_large",
    422: "upstream_unprocessable",
    429: "upstream_rate_limited",
    451: "upstream_permission",
    500: "upstream_failed",
    503: "upstream_unavailable",
    504: "upstream_timeout",
    529: "upstream_unavailable",
}
BY_CLASS: Final[dict[int, Code]] = {3: "upstream_not_found", 4: "upstream_rejected", 5: "upstream_failed"}
"""A status without a row of its own. OpenAI redirects nobody: a 3xx comes from a wrong address."""
CLEAR_STATUSES: Final = {401, 402, 403, 404, 405, 408, 409, 413, 429, 451}
"""They say more than a number in the body does; 400 and 5xx are also what servers use for want of a better one."""


def _named(code: Code, names: str) -> dict[str, Code]:
    return dict.fromkeys(names.split(), code)


BY_NAME: Final[dict[str, Code]] = {
    **_named(
        "content_filtered",
        "contentfilter contentfiltered contentpolicyviolation invalidprompt moderationblocked moderationflagged "
        "flagged responsibleaipolicyviolation datainspectionfailed sensitivewordsdetected promptblocked "
        "safetyviolation policyviolation usagepolicyviolation prohibitedcontent inappropriatecontent",
    ),
    **_named(
        "context_length_exceeded",
        "contextlengthexceeded contextwindowexceeded contextwindowexceedederror stringabovemaxlength stringtoolong "
        "arrayabovemaxlength requesttoolarge prompttoolong inputtoolong tokenslimitreached tokenlimitexceeded "
        "contexttoolong contentlengthexceeded",
    ),
    **_named(
        "upstream_quota_exhausted",
        "insufficientquota billinghardlimitreached billingnotactive insufficientbalance insufficientcredits "
        "insufficientfunds insufficientuserquota paymentrequired paymentrequirederror billingerror quotaexceeded "
        "exceededcurrentquotaerror arrearage creditbalancetoolow",
    ),
    **_named(
        "upstream_authentication",
        "invalidapikey incorrectapikey expiredapikey apikeyexpired apikeyinvalid missingapikey noapikey "
        "invalidauthentication invalidauthenticationerror authenticationerror unauthenticated unauthorized "
        "invalidtoken tokenexpired invalidorganization accountdeactivated deactivatedworkspace",
    ),
    **_named(
        "upstream_permission",
        "unsupportedcountryregionterritory permissiondenied permissionerror permissiondeniederror accessdenied "
        "forbidden requestforbidden insufficientpermissions organizationrestricted ipnotauthorized missingscope",
    ),
    **_named(
        "upstream_not_found",
        "modelnotfound modelnotfounderror deploymentnotfound modelnotavailable modelnotexist unknownmodel invalidmodel "
        "unknownurl notfounderror",
    ),
}
"""Names that say whose fault it is, in lower case and without punctuation: the body's `code`, `type` and the like."""

LIMITED_NAMES: Final = frozenset(
    _named(
        "upstream_rate_limited",
        "ratelimitexceeded ratelimiterror ratelimitreachederror ratelimit toomanyrequests toomanyrequestserror "
        "requests tokens resourceexhausted throttling throttlingexception",
    )
)
VAGUE_NAMES: Final[dict[str, Code]] = {
    **_named(
        "upstream_unavailable",
        "overloadederror overloaded serveroverloaded engineoverloaded engineoverloadederror modeloverloaded "
        "serviceunavailable serviceunavailableerror unavailable slowdown",
    ),
    **_named("upstream_timeout", "timeout timeouterror requesttimeout deadlineexceeded"),
}
"""Read only where there is no status to go by."""

BY_WORDS: Final[tuple[tuple[Code, re.Pattern[str]], ...]] = (
    (
        "context_length_exceeded",
        re.compile(
            r"request too large|maximum context length|context[ _]length|context window|reduce the length|"
            r"(prompt|input|request|message|conversation|text|string)s? (is |are )?too (long|large)|"
            r"input tokens exceed|tokens must be reduced|"
            r"(input|prompt|message)s?\b.{0,60}\b(exceeds?|longer than)\b.{0,60}\b(tokens?|length|context|characters)\b"
        ),
    ),
    (
        "upstream_quota_exhausted",
        re.compile(
            r"insufficient[ _](account )?(balance|credits?|funds|quota)|"
            r"(exceeded|used up) your (current )?(quota|credits?)|"
            r"check your plan and billing|out of credits|not enough (credits?|balance|funds)|"
            r"credit balance is too low|payment (is )?required|billing (hard limit|is not active|not active)|"
            r"account is not active|unpaid|余额不足"
        ),
    ),
    (
        "upstream_authentication",
        re.compile(
            r"\b(invalid|incorrect|expired|missing|revoked|malformed|no|wrong) (openai )?api[- _]?key|"
            r"api[- _]?key (you provided )?(is |was |has )?(been )?"
            r"(invalid|incorrect|not valid|expired|missing|disabled|revoked|not found)|"
            r"invalid (authentication|authorization|access token|credentials|bearer)|"
            r"authentication (failed|required|fails)|"
            r"unauthori[sz]ed|not authenticated|(account|organization|workspace|project)\b.{0,40}"
            r"\b(deactivated|suspended|disabled|terminated|banned)"
        ),
    ),
    (
        "upstream_permission",
        re.compile(
            r"(country|region|territory|location)\b.{0,40}\bnot (supported|available|allowed|permitted)|"
            r"(unsupported|restricted|prohibited)\b.{0,20}\b(country|region|territory|location)|"
            r"permission denied|access denied|not (allowed|permitted|authorized) to (use|access|call|sample)|"
            r"missing scopes|insufficient permissions|must be verified"
        ),
    ),
    (
        "upstream_not_found",
        re.compile(
            r"\bmodel\b.{0,80}\b(does not exist|doesn't exist|not found|not available|decommissioned|retired|"
            r"have access to)|\b(unknown|no such|invalid|unsupported) model\b|"
            r"\bdeployment\b.{0,60}\b(does not exist|not found)"
        ),
    ),
    (
        "content_filtered",
        re.compile(
            r"content (management )?polic|content[ _]filter|usage polic|safety (system|polic|filter|check)|"
            r"responsible ai|violat\w+\b.{0,60}\bpolic|inappropriate content|"
            r"(input|prompt|content|message|request|text)s?\b.{0,20}\bflagged|flagged (as|for|by)|"
            r"(blocked|rejected|stopped) by\b.{0,30}\b(moderation|safety)"
        ),
    ),
)
"""Words that say whose fault it is, where the name does not."""
