"""The shipped data is complete and says where it is from; an operator's file goes before it and is read strictly."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from penguinmails_core.kit import providers
from penguinmails_core.lanes.groups import group_of_host, mx_rows
from penguinmails_core.lanes.policies import PolicyError, load, parse, shipped

ROW = 'source = "ours"\nchecked = 2026-11-25\n'
POLICY = (
    '[[policy]]\ngroup = "google"\nconnections = 2\nmessages_per_connection = 9\nper_second = 1\n'
    f'tls = "opportunistic"\ndomains = 1\n{ROW}'
)
RULE = f'[[rule]]\nid = "rate"\nreasons = ["rate_limited"]\naction = "slow"\ncount = 1\nwithin = 60\nseconds = 0\n{ROW}'


def test_every_row_says_where_it_is_from_and_when_it_was_checked() -> None:
    policies = shipped()
    rows: list[Any] = [*policies.policies.values(), *policies.rules, *mx_rows().values()]
    assert all(row.source and isinstance(row.checked, date) for row in rows)


def test_rules_name_groups_and_reasons_that_exist() -> None:
    from penguinmails_sender.bounces.reasons import Reason

    groups = {row.group for row in mx_rows().values()} | {providers.OTHER, "default"}
    assert {rule.group for rule in shipped().rules if rule.group} <= groups
    assert {reason for rule in shipped().rules for reason in rule.reasons} <= set(Reason)
    assert set(shipped().policies) <= groups


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("aspmx.l.google.com", "google"),
        ("google.com", "google"),
        ("alt1.aspmx.l.googlemail.com", "google"),
        ("outlook-com.olc.protection.outlook.com", "microsoft"),
        ("acme-com.mail.protection.outlook.com", "microsoft365"),
        ("mta5.am0.yahoodns.net", "yahoo"),
        ("mx01.mail.icloud.com", "apple"),
        ("notgoogle.com", "other"),
        ("google.com.example.net", "other"),
        ("", "other"),
    ],
)
def test_the_longest_suffix_of_whole_labels_decides(host: str, group: str) -> None:
    assert group_of_host(host) == group


def test_the_first_rule_that_fits_counts_a_reply() -> None:
    policies = shipped()
    tss = policies.rule_for("yahoo", "rate_limited", "421 4.7.0 [TSS04] Messages temporarily deferred")
    assert tss is not None
    assert (tss.id, tss.action, tss.count) == ("yahoo.tss04", "pause", 2)
    rate = policies.rule_for("other", "rate_limited", "421 4.7.0 [TSS04] slow down")
    assert rate is not None
    assert (rate.id, rate.action) == ("rate", "slow")
    assert policies.rule_for("google", "mailbox_not_found", "550 5.1.1 no such user") is None


def test_an_own_file_replaces_rows_and_keeps_the_rest(tmp_path: Path) -> None:
    own = tmp_path / "lanes.toml"
    own.write_text(POLICY + RULE)
    policies = load(own)
    assert policies.of("google").connections == 2
    assert policies.of("yahoo") == shipped().of("yahoo")
    assert policies.of("never heard of") == shipped().of("default")
    assert policies.rules[0].id == "rate"
    assert sum(rule.id == "rate" for rule in policies.rules) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[policy", "not TOML"),
        ("[[lane]]\n", "unknown tables"),
        (POLICY + POLICY, "twice"),
        (POLICY.replace("connections = 2", "connections = 0"), "1 or more"),
        (POLICY.replace('"opportunistic"', '"none"'), "tls is one of"),
        (POLICY.replace("connections = 2", "connexions = 2"), "connexions"),
        (POLICY.replace(ROW, ""), "policy 'google'"),
        (RULE.replace("slow", "stop"), "action is one of"),
        (RULE.replace("slow", "pause"), "how many seconds"),
        (RULE.replace('reasons = ["rate_limited"]\n', ""), "give match"),
        (RULE.replace("slow", "crawl").replace("seconds = 0", "seconds = 9"), "per_minute"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        parse(text, whole=False)


def test_the_shipped_file_must_have_a_default() -> None:
    with pytest.raises(PolicyError, match="default"):
        parse(POLICY)
