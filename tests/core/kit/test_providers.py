"""Provider groups of well-known recipient domains."""

from __future__ import annotations

import pytest

from penguinmails_core.kit import providers
from penguinmails_core.kit.addresses import parse_mailbox, to_ascii
from penguinmails_core.kit.providers import provider_group


@pytest.mark.parametrize(
    ("domain", "group"),
    [
        ("gmail.com", "google"),
        ("googlemail.com", "google"),
        ("outlook.com", "microsoft"),
        ("hotmail.co.uk", "microsoft"),
        ("live.nl", "microsoft"),
        ("msn.com", "microsoft"),
        ("yahoo.com", "yahoo"),
        ("yahoo.com.br", "yahoo"),
        ("aol.com", "yahoo"),
        ("att.net", "yahoo"),
        ("yahoo.co.jp", "yahoo_japan"),
        ("icloud.com", "apple"),
        ("privaterelay.appleid.com", "apple"),
        ("web.de", "gmx"),
        ("example.com", "other"),
        ("mail.gmail.com", "other"),
        ("notgmail.com", "other"),
        ("", "other"),
    ],
)
def test_group(domain: str, group: str) -> None:
    assert provider_group(domain) == group


def test_works_on_parsed_addresses() -> None:
    assert provider_group(parse_mailbox("Someone <Some.One@GMail.COM>").domain) == "google"


def test_every_row_is_well_formed() -> None:
    seen: set[str] = set()
    for group, checked, source, domains in providers._TABLE:
        assert group.replace("_", "").isalpha()
        assert group != providers.OTHER
        assert len(checked) == len("2026-11")
        assert source
        for domain in domains.split():
            assert to_ascii(domain) == domain
            assert domain not in seen, f"{domain} is in two rows"
            seen.add(domain)
