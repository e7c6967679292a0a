"""The AsyncAPI document is kept, valid by its own project's parser, and tells of every event."""

from __future__ import annotations

import json
import re

from jsonschema import Draft202012Validator

from penguinmails_api.openapi import render
from penguinmails_api.version import VERSION
from penguinmails_webhooks import asyncapi
from penguinmails_webhooks.events import CATALOGUE
from tests.conftest import ROOT
from tests.contract.node import need, node
from tests.fixtures.client import ApiClient

DOCUMENT = asyncapi.build(VERSION)


def test_the_checked_in_file_is_the_generated_one() -> None:
    kept = (ROOT / "openapi" / "events.asyncapi.json").read_text(encoding="utf-8")
    assert kept == render(DOCUMENT), "run `python -m penguinmails_api.openapi` and read the difference"


def test_its_own_parser_accepts_it() -> None:
    need("@asyncapi/parser")
    result = node("asyncapi.mjs", stdin=render(DOCUMENT))
    assert result.returncode == 0, result.stdout + result.stderr
    count = len(CATALOGUE)
    lines = result.stdout.splitlines()
    assert f"messages: {count}, operations: {count}" in lines
    # Severity 0 and 1 are errors and warnings. The parser knows newer minor versions and says so (severity 2 or 3).
    assert not [line for line in lines if re.match("[01] ", line)], result.stdout


def test_the_parser_would_say_no() -> None:
    need("@asyncapi/parser")
    broken = json.loads(render(DOCUMENT))
    broken["operations"]["sendEmailSent"]["action"] = "shout"
    assert node("asyncapi.mjs", stdin=json.dumps(broken)).returncode == 1


def test_every_event_is_a_message_with_a_valid_example() -> None:
    messages = {message["name"]: message for message in DOCUMENT["components"]["messages"].values()}
    assert set(messages) == {event.value for event in CATALOGUE}
    for name, message in messages.items():
        schema = {**message["payload"], "components": DOCUMENT["components"]}
        for example in message["examples"]:
            Draft202012Validator(schema).validate(example["payload"])
            Draft202012Validator(message["headers"]).validate(example["headers"])
            assert example["payload"]["type"] == name


async def test_the_server_serves_it(client: ApiClient) -> None:
    response = await client.as_(None).get("/asyncapi.json")
    assert response.json() == json.loads(render(DOCUMENT))
