"""Shapes of secrets: known prefixes and keys in URLs, and wallets for their looks. `passwords` has those after a label.

The examples are put together so that no scanner takes this file for a leak.
"""

import re
from typing import Final

from b2b_chat.product.masking.kinds import Kind
from b2b_chat.product.masking.passwords import is_placeholder, looks_random
from b2b_chat.product.masking.shape import Shape

_BODY: Final = "Zq8Lw3Rt6Yp1Nd4Kc7Xv0Bm5Hs2Gj9Fa"


def _no_placeholder(value: str) -> bool:
    return not is_placeholder(value)


def _mixed(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.islower, value)) and any(map(str.isupper, value))


SECRETS: Final = (
    Shape(
        Kind.SECRET,
        re.compile(r"sk-(?<![\w-]sk-)[A-Za-z0-9_-]{16,}"),
        "ключ ⟦sk-" + "proj-" + _BODY + "⟧",
        gate=("sk-",),
        rank=90,
    ),
    Shape(
        Kind.SECRET,
        re.compile(
            r"(?:gl(?:pat|ptt|soat|dt|rt|cbt)-[\w-]{16,}|gh[pousr]_\w{20,}|github_pat_\w{20,}"
            r"|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{20,}|dop_v1_\w{20,}|shpat_\w{20,}"
            r"|glsa_\w{20,}|lin_api_\w{20,})"
        ),
        "clone ⟦gl" + "pat-" + _BODY[:20] + "⟧",
        gate=("gl", "gh", "github_pat_", "hf_", "npm_", "pypi-", "dop_v1_", "shpat_", "lin_api_"),
        rank=90,
    ),
    Shape(
        Kind.SECRET,
        re.compile(
            r"(?:AKIA|ASIA|AROA|AIDA)(?<!\w.{4})[A-Z0-9]{12,}(?!\w)|AIza[\w-]{30,}|ya29\.[\w.-]{20,}"
            r"|AQVN[\w-]{30,}|t1\.[\w-]{20,}(?:\.[\w-]{20,})?|y[0-3]_[\w-]{30,}"
        ),
        "⟦AK" + "IAZ8LWR6YPNDKCXV0B⟧",
        gate=("akia", "asia", "aroa", "aida", "aiza", "ya29.", "aqvn", "t1.", "y0_", "y1_", "y2_", "y3_"),
        rank=90,
    ),
    Shape(
        Kind.SECRET,
        re.compile(
            r"xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,}|SG\.[\w-]{16,}\.[\w-]{16,}|[spr]k_(?:live|test)_\w{12,}"
            r"|whsec_[\w+/=]{16,}|key-[0-9a-f]{32}|EAA[A-Za-z0-9]{40,}"
        ),
        "⟦xo" + "xb-" + _BODY + "⟧",
        gate=("xox", "xapp-", "sg.", "k_live_", "k_test_", "whsec_", "key-", "eaa"),
        rank=90,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"[0-9](?:(?<!\w.)|(?<=/bot.))[0-9]{7,9}:[A-Za-z0-9_-]{30,}"),
        "⟦74041" + "37819:AA" + _BODY + "4⟧",
        gate=(":",),
        digits=8,
        rank=90,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"eyJ(?<![\w-]eyJ)[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
        "Bearer ⟦ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0In0." + _BODY + "⟧",
        gate=("eyj",),
        rank=90,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----((?:[A-Za-z0-9+/=,:\s]|\\[nr]|-(?!-))+)"),
        "-----BEGIN PRIVATE" + " KEY-----\n⟦" + _BODY * 3 + "⟧\n-----END",
        gate=("private key",),
        rank=95,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"://[^\s:/@\"'<>]{0,64}:(?![0-9]{1,5}/)([^\s\"'<>]{1,128})@(?=[\w.-])"),
        "postgresql://app:⟦Qwe992!tJ⟧@db:5432",
        gate=("://",),
        check=_no_placeholder,
        rank=88,
    ),
    Shape(
        Kind.SECRET,
        re.compile(
            r"[?&;#](?:[a-z_-]{0,16}(?:token|signature|secret|key|password|pwd|auth|credential|session(?:id)?"
            r"|sig|jwt|code|hash)|x-amz-security-token)=([^\s&#\"'<>]{6,512})",
            re.IGNORECASE,
        ),
        "https://cdn.example.com/f?X-Amz-Signature=⟦25aaba167f255a63⟧",
        gate=(
            "token=",
            "signature=",
            "secret=",
            "key=",
            "password=",
            "pwd=",
            "auth=",
            "credential=",
            "session=",
            "sessionid=",
            "sig=",
            "jwt=",
            "code=",
            "hash=",
        ),
        check=looks_random,
        rank=86,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"(?:bearer|basic|token)[ ]+([A-Za-z0-9+/=._~-]{12,1024})", re.IGNORECASE),
        "Authorization: Bearer ⟦" + _BODY + "⟧",
        gate=("bearer ", "basic ", "token "),
        check=looks_random,
        rank=85,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"(?:-p|--password|--token|--api-key|-u)[ =][\"']?([^\s\"'-][^\s\"']{5,128})"),
        "mysql --password=⟦Zima725@O8W3⟧",
        gate=("-p ", "--password", "--token", "--api-key", "-u "),
        check=looks_random,
        rank=81,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"\.login\([\"'][^\"'\n]{1,80}[\"'],[ ]?[\"']([^\"'\n]{4,128})[\"']"),
        "smtp.login('bot', '⟦Zima725@O8W3⟧')",
        gate=(".login(",),
        check=looks_random,
        rank=81,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"redis-cli[^\n]{0,80}?[ ]-a[ ]([^\s\"'-][^\s\"']{5,128})"),
        "redis-cli -a ⟦Zima725@O8W3⟧",
        gate=("redis-cli",),
        check=looks_random,
        rank=81,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"[ ]-p[\"']?([^\s\"'-][^\s\"']{5,128})"),
        "mysql -u root -p⟦Zima725@O8W3⟧ crm",
        gate=("mysql", "mariadb", "sshpass"),
        near=("mysql", "mariadb", "sshpass"),
        reach=80,
        check=looks_random,
        rank=81,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"(?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks)/([\w/-]{16,240})"),
        "https://hooks.slack.com/services/⟦T0" + "ABCDEF1/B0ABCDEF1/" + _BODY[:24] + "⟧",
        gate=("hooks.slack.com", "api/webhooks"),
        rank=88,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"://([^\s:/@\"'<>]{16,256})@(?=[\w.-])"),
        "https://⟦" + _BODY + "⟧@git.example.com/app.git",
        gate=("://",),
        check=looks_random,
        rank=87,
    ),
    Shape(
        Kind.SECRET,
        re.compile(
            r"(?<![\w-])(?:hv[sbr]\.|dckr_pat_|do[or]_v1_|tskey-|sntr[ys][su]_|xkeysib-|PMAK-|NRAK-|gsk_|nvapi-|pplx-|r8_"
            r"|figd_|ATATT3x|shp(?:ss|ca|pa)_|rubygems_|ntn_|sbp_|AGE-SECRET-KEY-1|tvly-|phc_)"
            r"[\w-]{16,}"
        ),
        "vault login ⟦hv" + "s." + _BODY[:24] + "⟧",
        gate=(
            *("hvs.", "hvb.", "hvr.", "dckr_pat_", "doo_v1_", "dor_v1_", "tskey-", "sntrys_", "sntryu_", "xkeysib-"),
            *("pmak-", "nrak-", "gsk_", "nvapi-", "pplx-", "r8_", "figd_", "atatt3x", "shpss_", "shpca_", "shppa_"),
            *("rubygems_", "ntn_", "sbp_", "age-secret-key-1", "tvly-", "phc_"),
        ),
        check=looks_random,
        rank=90,
    ),
    Shape(
        Kind.SECRET,
        re.compile(r"[MNO](?<!\w.)[\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?!\w)"),
        "⟦M" + "TA" + _BODY[:22] + ".Gh" + "7kQ2." + _BODY[:30] + "⟧",
        gate=(".",),
        digits=3,
        check=_mixed,
        rank=89,
    ),
    Shape(
        Kind.WALLET,
        re.compile(r"0x(?<!\w0x)[0-9a-fA-F]{40}(?!\w)"),
        "ETH ⟦0x52908400098527886E0F7030069857D2E4169EE7⟧",
        gate=("0x",),
        rank=76,
    ),
    Shape(
        Kind.WALLET,
        re.compile(r"\b(?:bc1|ltc1)[02-9ac-hj-np-z]{20,70}(?!\w)"),
        "BTC ⟦bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq⟧",
        gate=("bc1", "ltc1"),
        rank=76,
    ),
    Shape(
        Kind.WALLET,
        re.compile(r"[13LTXD](?<!\w.)[1-9A-HJ-NP-Za-km-z]{25,34}(?!\w)"),
        "USDT на ⟦TTVYiY1ZXcZnEFVVQLZubw7ktJWjdxy9YU⟧",
        digits=1,
        check=_mixed,
        rank=75,
    ),
)
