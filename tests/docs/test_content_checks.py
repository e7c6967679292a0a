"""docs/content-checks.md lists every rule, as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

from penguinmails_core.content_checks.lint import lint
from penguinmails_core.content_checks.rules import RULES

GUIDE = (Path(__file__).parents[2] / "docs" / "content-checks.md").read_text(encoding="utf-8")


def test_every_rule_is_listed() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \| (.*) \|$", GUIDE, re.MULTILINE)
    assert rows == [(name, str(rule.severity), rule.what, rule.fix) for name, rule in RULES.items()]


def test_the_sample_has_what_it_is_there_for() -> None:
    body = re.search(r"-d '(\{.*?\n\})'", GUIDE, re.DOTALL)
    assert body
    read = lint({**json.loads(body[1])})
    assert [found["rule"] for found in read["findings"]] == [
        "subject_fakes_reply",
        "link_text_vague",
        "link_not_https",
        "unsubscribe_missing",
    ]
