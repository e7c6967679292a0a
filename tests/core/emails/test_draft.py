"""What one message may say: every rule, every fault with its pointer."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import orjson
import pytest

from penguinmails_core.emails.draft import DraftLimits, pg_array
from penguinmails_core.errors import PayloadTooLarge, Unprocessable
from penguinmails_core.kit.clock import utcnow
from tests.fixtures.mail import LIMITS, draft, principal


def faults(**fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(Unprocessable) as caught:
        draft(principal(), **fields)
    for error in caught.value.errors:
        assert error.detail.isprintable(), "a message never echoes control characters"
    return [(error.pointer, error.code) for error in caught.value.errors]


def test_a_message_becomes_rows_for_every_table() -> None:
    caller = principal()
    made = draft(
        caller,
        to=["Ada <ada@example.com>"],
        cc="bob@Example.ORG",
        bcc=["eve@example.net"],
        html="<p>Hi</p>",
        tags=["a"],
        metadata={"k": "v"},
        attachments=[{"filename": "a.pdf", "content": base64.b64encode(b"%PDF").decode()}],
    )
    assert [row[3] for row in made.rows.recipients] == ["to", "cc", "bcc"]
    assert [row[5] for row in made.rows.recipients] == ["ada@example.com", "bob@example.org", "eve@example.net"]
    assert {row[0] for row in made.rows.recipients} == {caller.organization_id}
    assert [row[4] for row in made.rows.events] == ["email.queued"] * 3
    data = orjson.loads(made.rows.events[0][6])
    assert data["email_id"] == made.email_id
    assert data["recipient"] == {"address": "ada@example.com", "name": "Ada", "kind": "to"}
    assert data["message_id"] == f"{made.email_id}@acme.test"
    assert len(made.rows.blobs) == 3
    assert made.rows.attachments[0][5] == "application/pdf"
    assert made.status == "queued"


def test_a_scheduled_message_waits() -> None:
    later = utcnow() + timedelta(hours=2)
    made = draft(principal(), scheduled_at=later.isoformat())
    assert made.status == "scheduled"
    assert made.rows.recipients[0][8] == later
    assert made.rows.events[0][4] == "email.scheduled"
    assert made.answer()["scheduled_at"] is not None


def test_a_due_time_just_passed_means_now() -> None:
    made = draft(principal(), scheduled_at=(utcnow() - timedelta(minutes=1)).isoformat())
    assert made.status == "queued"
    assert made.rows.recipients[0][8] is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"to": []}, [("/to", "missing_recipient")]),
        ({"to": ["nobody"]}, [("/to/0", "missing_at")]),
        ({"to": "nobody"}, [("/to", "missing_at")]),
        ({"cc": ["ok@example.com", "bad@"]}, [("/cc/1", "missing_domain")]),
        ({"to": [f"u{i}@example.com" for i in range(51)]}, [("/to", "too_many_recipients")]),
        (
            {"to": [f"u{i}@example.com" for i in range(30)], "bcc": [f"v{i}@example.com" for i in range(21)]},
            [("/to", "too_many_recipients")],
        ),
        ({"to": ["a@example.com", "A@example.com"]}, [("/to", "duplicate_recipient")]),
        ({"bcc": ["ada@example.com"]}, [("/bcc", "duplicate_recipient")]),
        ({"reply_to": ["x"]}, [("/reply_to/0", "missing_at")]),
        ({"subject": "a\r\nBcc: eve@example.com"}, [("/subject", "control_character")]),
        ({"subject": "a\nb"}, [("/subject", "control_character")]),
        ({"subject": "a\0b"}, [("/subject", "control_character")]),
        ({"subject": "x" * 999}, [("/subject", "text_too_long")]),
        ({"to": ["Ada\r\nBcc: eve@example.com <ada@example.com>"]}, [("/to/0", "control_character")]),
        ({"to": ["ada@example.com\r\n"]}, [("/to/0", "control_character")]),
        ({"headers": {"X-A": "b\r\nBcc: e@example.com"}}, [("/headers/X-A", "control_character")]),
        ({"headers": {"X-A\r\nBcc": "b"}}, [("/headers/X-A\r\nBcc", "invalid_header_name")]),
        ({"headers": {"X/~": "\0"}}, [("/headers/X~1~0", "control_character")]),
        ({"headers": {"From": "e@example.com"}}, [("/headers/From", "reserved_header")]),
        ({"text": None}, [("/text", "missing_content")]),
        ({"text": "a\0b"}, [("/text", "control_character")]),
        ({"html": "\0"}, [("/html", "control_character")]),
        ({"tags": [f"t{i}" for i in range(11)]}, [("/tags", "too_many")]),
        ({"tags": ["x" * 65]}, [("/tags/0", "text_too_long")]),
        ({"tags": [""]}, [("/tags/0", "empty")]),
        ({"metadata": {"a/b": "x" * 501}}, [("/metadata/a~1b", "text_too_long")]),
        ({"metadata": {str(i): "v" for i in range(51)}}, [("/metadata", "too_many")]),
        ({"metadata": {"k": "\0"}}, [("/metadata/k", "control_character")]),
        ({"scheduled_at": "2020-01-01T00:00:00Z"}, [("/scheduled_at", "in_the_past")]),
        ({"scheduled_at": "2999-01-01T00:00:00Z"}, [("/scheduled_at", "too_far_ahead")]),
        ({"scheduled_at": "9999-12-31T23:59:59-23:59"}, [("/scheduled_at", "too_far_ahead")]),
        ({"scheduled_at": "0001-01-01T00:00:00+23:59"}, [("/scheduled_at", "in_the_past")]),
        ({"scheduled_at": "2030-01-01T00:00:00"}, [("/scheduled_at", "missing_offset")]),
        ({"attachments": [{"filename": "a", "content": "%%"}]}, [("/attachments/0/content", "invalid_base64")]),
        ({"attachments": [{"filename": "a", "content": "YQ"}]}, [("/attachments/0/content", "invalid_base64")]),
        ({"attachments": [{"filename": "../a", "content": ""}]}, [("/attachments/0/filename", "invalid_filename")]),
        (
            {"attachments": [{"filename": "a\r\nX: y", "content": ""}]},
            [("/attachments/0/filename", "control_character")],
        ),
        (
            {"attachments": [{"filename": "a", "content": "", "content_type": "text/html; charset=x"}]},
            [("/attachments/0/content_type", "invalid_content_type")],
        ),
        (
            {"attachments": [{"filename": "a", "content": "", "content_id": "<x>"}]},
            [("/attachments/0/content_id", "invalid_content_id")],
        ),
        (
            {"attachments": [{"filename": "a", "content": "", "content_id": "x"}] * 2},
            [("/attachments/1/content_id", "duplicate_content_id")],
        ),
    ],
)
def test_a_fault_is_named_with_its_pointer(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert faults(**fields) == expected


def test_all_faults_come_together() -> None:
    assert faults(to=["x"], subject="\n", text=None, tags=[""]) == [
        ("/to/0", "missing_at"),
        ("/subject", "control_character"),
        ("/tags/0", "empty"),
    ]


def test_the_sender_is_checked_first() -> None:
    assert faults(from_="me@localhost", to=[]) == [("/from", "single_label_domain")]


def test_the_size_limit_counts_decoded_bytes() -> None:
    limits = DraftLimits(100, LIMITS.horizon, LIMITS.retention)
    fits = base64.b64encode(b"x" * 98).decode()
    draft(principal(), limits=limits, text="ab", attachments=[{"filename": "a", "content": fits}])
    with pytest.raises(PayloadTooLarge, match="101 bytes"):
        draft(principal(), limits=limits, text="abc", attachments=[{"filename": "a", "content": fits}])


def test_array_literals_are_escaped() -> None:
    assert pg_array([]) == "{}"
    assert pg_array(['a"b', "c\\d", "e,f"]) == '{"a\\"b","c\\\\d","e,f"}'
