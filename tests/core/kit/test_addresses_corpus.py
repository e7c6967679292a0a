"""Agreement with the is_email corpus (Dominic Sayers' test set for RFC 5321 and 5322 addresses).

The corpus grades; we only accept or refuse. Its grades "valid", "DNS warning" (no network here) and "RFC 5321" (fine on
the wire, unusual) should be accepted; comments and folding, obsolete forms, "RFC 5322 only" and errors should be
refused. Each class where we differ on purpose is named below with its reason.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from penguinmails_core.kit.addresses import AddressError, parse_mailbox

CORPUS = Path(__file__).resolve().parents[3].parent / "shared" / "corpora" / "is_email.jsonl"
ACCEPT = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}
REFUSE = {"ISEMAIL_CFWS", "ISEMAIL_DEPREC", "ISEMAIL_RFC5322", "ISEMAIL_ERR"}

# (diagnosis, our code) -> why we refuse what the corpus lets pass.
STRICTER = {
    ("ISEMAIL_VALID", "single_label_domain"): "`test@io`: a top-level domain takes no mail in practice (RFC 7085); "
    "nearly always a forgotten ending",
    ("ISEMAIL_RFC5321_TLD", "single_label_domain"): "the same, for a top-level domain without an MX",
    ("ISEMAIL_RFC5321_TLDNUMERIC", "numeric_domain"): "no numeric top-level domain exists (RFC 3696 §2): an IP address "
    "without brackets",
    ("ISEMAIL_RFC5321_ADDRESSLITERAL", "domain_literal"): "mail to a bare IP address has no domain to check, throttle "
    "or suppress; no peer sends it",
}
# Nothing that the corpus refuses is accepted.
EXPECTED = {  # category: (agreed, all)
    "ISEMAIL_VALID_CATEGORY": (13, 14),
    "ISEMAIL_DNSWARN": (8, 8),
    "ISEMAIL_RFC5321": (6, 16),
    "ISEMAIL_CFWS": (10, 10),
    "ISEMAIL_DEPREC": (20, 20),
    "ISEMAIL_RFC5322": (30, 30),
    "ISEMAIL_ERR": (66, 66),
}


@pytest.mark.skipif(not CORPUS.exists(), reason="the is_email corpus is not beside the repository (../shared/corpora)")
def test_agreement_per_category() -> None:
    agreed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    stricter: Counter[tuple[str, str]] = Counter()
    unexplained: list[str] = []
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        category, diagnosis, address = case["category"], case["diagnosis"], case["address"]
        assert category in ACCEPT | REFUSE, f"unknown category {category}"
        total[category] += 1
        try:
            parse_mailbox(address)
            code = None
        except AddressError as error:
            code = error.code
        if (code is None) == (category in ACCEPT):
            agreed[category] += 1
        elif code is not None and (diagnosis, code) in STRICTER:
            stricter[diagnosis, code] += 1
        else:
            unexplained.append(f"{case['id']} {address!a}: {diagnosis}, we say {code or 'accepted'}")
    for category in total:
        sys.stdout.write(f"{category}: {agreed[category]} of {total[category]} agree\n")
    for key, count in stricter.items():
        sys.stdout.write(f"stricter on purpose, {count} times {key[0]} -> {key[1]}: {STRICTER[key]}\n")
    assert unexplained == []
    assert {category: (agreed[category], total[category]) for category in total} == EXPECTED
    assert set(stricter) == set(STRICTER), "a listed exception no longer occurs"
