"""Spectral (with the OWASP rules) and Redocly find nothing in the document, and would find something."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penguinmails_api.app import api
from penguinmails_api.openapi import render
from tests.conftest import ROOT
from tests.contract.node import MODULES, need, node

Document = dict[str, Any]
RULES = ROOT / "openapi" / "rules"


def spectral(path: Path) -> list[str]:
    need("@stoplight/spectral-cli", "@stoplight/spectral-owasp-ruleset")
    program = MODULES / "@stoplight" / "spectral-cli" / "dist" / "index.js"
    result = node(program, "lint", path, "--ruleset", RULES / "spectral.yaml", "--format", "json", "--quiet")
    assert result.stdout.startswith("["), result.stdout + result.stderr
    return [each["code"] for each in json.JSONDecoder().raw_decode(result.stdout)[0]]


def redocly(path: Path) -> tuple[int, str]:
    need("@redocly/cli")
    result = node(MODULES / "@redocly" / "cli" / "bin" / "cli.js", "lint", path, "--config", RULES / "redocly.yaml")
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_document_is_clean(tmp_path: Path, version: str) -> None:
    path = tmp_path / f"{version}.json"
    path.write_text(render(api().openapi() if version == "v1" else api().openapi_v2()))
    assert spectral(path) == []
    status, said = redocly(path)
    assert status == 0, said
    assert "warning" not in said.lower(), said


def _no_limit(document: Document) -> None:
    del document["components"]["schemas"]["WebhookEndpointCreate"]["properties"]["url"]["maxLength"]


def _no_scheme(document: Document) -> None:
    del document["components"]["schemas"]["WebhookEndpointCreate"]["properties"]["events"]["maxItems"]


def _no_429(document: Document) -> None:
    del document["paths"]["/v1/emails"]["get"]["responses"]["429"]


def _no_headers(document: Document) -> None:
    del document["components"]["responses"]["NotFound"]["headers"]["RateLimit"]


@pytest.mark.parametrize(
    ("change", "code"),
    [(_no_limit, "string-limit"), (_no_scheme, "array-limit"), (_no_429, "responses-429"), (_no_headers, "rate-limit")],
)
def test_spectral_would_say_no(tmp_path: Path, change: Callable[[Document], None], code: str) -> None:
    document = copy.deepcopy(api().openapi())
    change(document)
    (tmp_path / "v1.json").write_text(json.dumps(document))
    assert [found for found in spectral(tmp_path / "v1.json") if found.endswith(code)]


def test_redocly_would_say_no(tmp_path: Path) -> None:
    document = copy.deepcopy(api().openapi())
    document["paths"]["/v1/emails"]["get"]["summary"] = ""
    del document["paths"]["/v1/me"]["get"]["summary"]
    (tmp_path / "v1.json").write_text(json.dumps(document))
    status, said = redocly(tmp_path / "v1.json")
    assert status == 1
    assert "operation-summary" in said


def test_every_departure_from_the_rules_has_its_reason() -> None:
    """A rule that is switched off or rewritten stands under a comment."""
    lines = (RULES / "spectral.yaml").read_text().splitlines()
    rules = [index for index, line in enumerate(lines) if re.match(r'  "?[a-z][a-z0-9:-]+"?:( off)?$', line)]
    assert len(rules) > 10
    blocks = "\n".join(lines).split("rules:")[1].strip("\n").split("\n\n")
    assert all(block.lstrip().startswith("#") for block in blocks)
