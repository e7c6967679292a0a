"""docs/templates.md says what the engine does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from penguinmails_core.templates import engine
from penguinmails_core.templates.filters import OWN

GUIDE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")


def filled_in(source: str, variables: dict[str, Any]) -> dict[str, Any]:
    version = {"format": "html", "subject": "s", "source": source, "text": None, "spintax": False, "inline_css": True}
    return engine.render(version, variables, "")


def test_the_sample_gives_what_it_says() -> None:
    found = re.findall(r"```liquid\n(.*?)```\s+```json\n(.*?)```.*?```text\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    for source, variables, text in found:
        made = filled_in(source, json.loads(variables))
        assert not made["missing"]
        assert made["text"] == text


def test_every_filter_is_listed() -> None:
    listed = re.search(r"<!-- filters -->(.*?)<!-- /filters -->", GUIDE, re.DOTALL)
    assert listed
    assert re.findall(r"`(\w+)`", listed[1]) == sorted(set(engine._HTML.filters) - set(OWN))


def test_examples_of_our_own_filters() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`\{\{.*`) \| (.*) \|$", GUIDE, re.MULTILINE)
    assert {name for name, _, _ in rows} == set(OWN)
    for _, examples, gives in rows:
        sources = re.findall(r"`(\{\{.*?\}\})`", examples.replace("\\|", "|"))
        made = [filled_in(source, {})["html"] for source in sources]
        assert made == (gives.split(", ") if len(sources) > 1 else [gives])
