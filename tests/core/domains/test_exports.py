"""Records to publish, as zone files, for Cloudflare and as Terraform."""

from __future__ import annotations

import json
from typing import cast

import dns.rdatatype
import dns.zone
import pytest
from dns.rdtypes.ANY.TXT import TXT

from penguinmails_core.domains.dns_records import Observation, Reason, RecordStatus, desired
from penguinmails_core.domains.exports import ExportFormat, character_strings, export
from penguinmails_core.domains.policy import DnsPolicy, KeyFacts, Wanted

NAME = "mail.acme.example"
KEYS = [("pm1", "rsa-sha256", "v=DKIM1; k=rsa; p=" + "A" * 392)]
RECORDS = desired(Wanted(NAME, (KeyFacts(*KEYS[0]),), DnsPolicy(spf="include:_spf.penguin.example")))
UNSEEN = {record.name: Observation(RecordStatus.UNCHECKED) for record in RECORDS}
THEIRS = Observation(RecordStatus.MISMATCH, ("v=spf1 mx -all",), "…", Reason.MECHANISM_MISSING)


def published(text: str) -> dict[str, str]:
    """As a name server reads it."""
    zone = dns.zone.from_text(text, origin="acme.example.", relativize=False, check_origin=False)
    return {
        str(name).rstrip("."): b"".join(cast(TXT, record).strings).decode()
        for name, _ttl, record in zone.iterate_rdatas(dns.rdatatype.TXT)
    }


def test_a_zone_file_is_read_as_it_was_meant() -> None:
    text = export(ExportFormat.ZONE, RECORDS, UNSEEN)
    assert published(text) == {record.name: record.value for record in RECORDS}


def test_a_record_that_is_there_is_joined_and_one_that_is_right_left_out() -> None:
    seen = UNSEEN | {NAME: THEIRS, f"_dmarc.{NAME}": Observation(RecordStatus.FOUND, ("v=DMARC1; p=reject",))}
    text = export(ExportFormat.ZONE, RECORDS, seen)
    assert published(text) == {
        f"pm1._domainkey.{NAME}": KEYS[0][2],
        NAME: "v=spf1 mx include:_spf.penguin.example -all",
    }
    assert "; Takes the place of what is there: v=spf1 mx -all\n" in text
    posts = json.loads(export(ExportFormat.CLOUDFLARE, RECORDS, seen))["posts"]
    assert [post["name"] for post in posts] == [f"pm1._domainkey.{NAME}", NAME]
    assert posts[1]["comment"] == "Takes the place of what is there: v=spf1 mx -all"
    assert posts[1]["content"] == '"v=spf1 mx include:_spf.penguin.example -all"'
    done = {record.name: Observation(RecordStatus.FOUND, (record.value,)) for record in RECORDS}
    assert export(ExportFormat.ZONE, RECORDS, done) == ""


def test_foreign_text_stays_text() -> None:
    """What is in somebody's DNS must not become lines of a zone file or templates of Terraform."""
    evil = 'v=spf1 "\n${file("/etc/passwd")}\r\n. IN NS evil.example. %{x} \\ -all'
    seen = UNSEEN | {NAME: Observation(RecordStatus.MISMATCH, (evil,), "…", Reason.MECHANISM_MISSING)}
    zone = export(ExportFormat.ZONE, RECORDS, seen)
    assert set(published(zone)) == {record.name for record in RECORDS}
    assert not any(line.startswith(".") for line in zone.splitlines())
    hcl = export(ExportFormat.TERRAFORM, RECORDS, seen)
    content = next(line for line in hcl.splitlines() if "content" in line and "spf1" in line)
    assert "$${file(" in content
    assert "%%{x}" in content
    assert len(hcl.splitlines()) == 7 * 3 + 2 + 1  # three resources, blank lines between them, one comment


@pytest.mark.parametrize(
    ("value", "strings"),
    [("", ['""']), ('a"b\\c', ['"a\\"b\\\\c"']), ("é", ['"\\195\\169"']), ("x" * 256, ['"' + "x" * 255 + '"', '"x"'])],
)
def test_character_strings(value: str, strings: list[str]) -> None:
    assert character_strings(value) == strings
