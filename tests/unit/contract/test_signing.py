import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from b2b_chat.contract.signing import (
    InvalidSignature,
    MalformedSignature,
    MissingSignature,
    SignatureError,
    StaleTimestamp,
    compute_mac,
    read_signature,
    sign,
    verify,
)
from support.gateway.signing_vectors import ACCEPT, REJECT, SKEW_SECONDS, each_accepted, each_rejected, raw_headers

SECRET = b"a secret of enough bytes for a test"


def check(row: dict[str, Any], *secrets: bytes) -> None:
    verify(
        secrets or (row["secret"].encode(),),
        read_signature(raw_headers(row)),
        row["method"],
        row["target"].encode(),
        bytes.fromhex(row["body_hex"]),
        unix_seconds=row["now"],
        skew_seconds=SKEW_SECONDS,
    )


def test_there_are_64_vectors() -> None:
    assert (len(ACCEPT), len(REJECT)) == (40, 24)


@each_accepted
def test_accepts(row: dict[str, Any]) -> None:
    check(row)


@each_accepted
def test_computes_the_mac_of_the_row(row: dict[str, Any]) -> None:
    headers = dict(raw_headers(row))
    body = bytes.fromhex(row["body_hex"])
    mac = compute_mac(
        row["secret"].encode(),
        row["method"],
        row["target"].encode(),
        headers[b"x-timestamp"],
        headers[b"x-nonce"],
        body,
    )
    assert mac == headers[b"x-signature"]
    assert hashlib.sha256(body).hexdigest() == row["body_sha256"]


@each_rejected
def test_rejects(row: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as caught:
        check(row)
    assert caught.value.code == row["code"]


def test_signs_what_it_verifies() -> None:
    headers = sign(SECRET, "POST", "/v1/chat?a=%20", b"{}", unix_seconds=1_764_000_000)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    verify([SECRET], read_signature(raw), "POST", b"/v1/chat?a=%20", b"{}", unix_seconds=1_764_000_000, skew_seconds=60)


def test_every_signature_has_a_nonce_of_its_own() -> None:
    nonces = {sign(SECRET, "GET", "/", b"", unix_seconds=1)["X-Nonce"] for _ in range(1000)}
    assert len(nonces) == 1000


@pytest.mark.parametrize("position", [0, 1, 2])
def test_any_accepted_secret_will_do(position: int) -> None:
    row = ACCEPT[0]
    secrets = [b"other one", b"other two", b"other three"]
    secrets[position] = row["secret"].encode()
    check(row, *secrets)


def test_no_secret_accepts_nothing() -> None:
    with pytest.raises(InvalidSignature):
        verify([], read_signature(raw_headers(ACCEPT[0])), "POST", b"/", b"", unix_seconds=0, skew_seconds=60)


def test_a_wrong_mac_reveals_nothing_of_the_time() -> None:
    stale = next(row for row in REJECT if row["code"] == "stale_timestamp")
    with pytest.raises(StaleTimestamp):
        check(stale)
    with pytest.raises(InvalidSignature):
        check(stale, b"another secret")


@pytest.mark.parametrize("header", [b"x-timestamp", b"x-nonce", b"x-signature"])
class TestEachHeader:
    def test_must_be_there(self, header: bytes) -> None:
        headers = [(name, value) for name, value in raw_headers(ACCEPT[0]) if name != header]
        with pytest.raises(MissingSignature):
            read_signature(headers)

    def test_must_be_there_once(self, header: bytes) -> None:
        headers = raw_headers(ACCEPT[0])
        with pytest.raises(MalformedSignature):
            read_signature([*headers, (header, dict(headers)[header])])

    @pytest.mark.parametrize("padding", [b"\n", b" ", b"\0", b"\xd9\xa1"])
    def test_must_have_its_form_to_the_end(self, header: bytes, padding: bytes) -> None:
        headers = [(name, value + padding if name == header else value) for name, value in raw_headers(ACCEPT[0])]
        with pytest.raises(MalformedSignature):
            read_signature(headers)

    def test_must_not_be_empty(self, header: bytes) -> None:
        headers = [(name, b"" if name == header else value) for name, value in raw_headers(ACCEPT[0])]
        with pytest.raises(MalformedSignature):
            read_signature(headers)


def test_other_headers_do_not_matter() -> None:
    read_signature([(b"host", b"x"), *raw_headers(ACCEPT[0]), (b"host", b"x")])


def test_the_vectors_file_is_the_one_that_was_handed_over() -> None:
    rows = json.loads((Path(__file__).parents[2] / "data" / "signing.json").read_text(encoding="utf-8"))
    assert rows["about"].startswith("Signature = lowercase hex HMAC-SHA256")
