"""The dashboard and the alert rules ask for nothing that `/metrics` does not have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from penguinmails_api.metrics import Metrics
from penguinmails_api.observability.readings import Readings
from penguinmails_api.observability.worker_metrics import worker_readings
from penguinmails_api.services import Services
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.db import Database
from penguinmails_sender.engine.engine import SenderEngine
from penguinmails_sender.transports import SimulatedTransport
from penguinmails_webhooks.engine import WebhookEngine
from tests.conftest import ROOT
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Recipient, Tenant, make_email

DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
_SELECTOR = re.compile(r"(penguinmails_[a-z_]+)(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\bby \(([^)]*)\)")
_OF_PROMETHEUS = {"job", "instance", "le"}


def expressions(node: Any) -> Iterator[str]:
    """Every query in a dashboard or a rule file."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "expr" or (key == "query" and isinstance(value, str) and "penguinmails" in value):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from expressions(item)


def faults(expression: str, known: dict[str, set[str]]) -> list[str]:
    """Metrics and labels that do not exist."""
    found, labels = [], set(_OF_PROMETHEUS)
    for name, matchers in _SELECTOR.findall(expression):
        if name not in known:
            found.append(f"{name} does not exist")
            continue
        labels |= known[name]
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers or ""))
        found += [f"{name} has no label {label}" for label in sorted(asked - known[name] - _OF_PROMETHEUS)]
    grouped = {label.strip() for group in _GROUPING.findall(expression) for label in group.split(",")}
    found += [f"nothing has the label {label}" for label in sorted(grouped - labels)]
    if expression.count("(") != expression.count(")") or expression.count("{") != expression.count("}"):
        found.append("brackets do not match")
    return found


def samples(families: Iterator[Metric]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            known.setdefault(sample.name, set()).update(sample.labels)
    return known


@pytest.fixture
async def known(client: ApiClient, services: Services, database: Database, tenant: Tenant) -> dict[str, set[str]]:
    """What an API process and a worker expose, with the labels they really have."""
    await make_email(database, tenant, [Recipient("a@gmail.com")])
    await client.get("/v1/me")
    assert (await client.as_(None).get("/metrics")).status_code == 200
    box = SecretBox([b"k" * 32])
    sender = SenderEngine(
        database,
        services.content,
        {"test": SimulatedTransport()},
        box,
        services.doorbell,
        services.settings.sender,
        "worker",
    )
    sender.counters.outcomes["delivered"] += 1
    webhooks = WebhookEngine(database, box, services.doorbell, services.settings.webhooks)
    registry = CollectorRegistry()
    registry.register(Readings(worker_readings(sender, webhooks)))
    found = samples(iter(services.metrics.registry.collect())) | samples(iter(registry.collect()))
    await webhooks.stop()
    return found


async def test_dashboards_and_alerts_ask_for_what_exists(known: dict[str, set[str]]) -> None:
    asked = 0
    for document in [*(json.loads(path.read_text()) for path in DASHBOARDS), yaml.safe_load(ALERTS.read_text())]:
        for expression in expressions(document):
            assert faults(expression, known) == [], expression
            asked += 1
    assert asked > 30


async def test_every_metric_is_on_a_dashboard_or_in_an_alert(known: dict[str, set[str]]) -> None:
    """What nobody looks at need not be counted."""
    text = " ".join(path.read_text() for path in (*DASHBOARDS, ALERTS))
    ours = {name for name in known if not name.endswith(("_created", "_sum", "_count"))}
    assert {name for name in ours if name not in text} == set()


async def test_the_check_finds_what_is_wrong(known: dict[str, set[str]]) -> None:
    assert faults("rate(penguinmails_no_such_total[5m])", known) == ["penguinmails_no_such_total does not exist"]
    assert faults('penguinmails_queue_depth{tenant="x"}', known) == ["penguinmails_queue_depth has no label tenant"]
    assert faults("sum by (tenant) (penguinmails_queue_depth)", known) == ["nothing has the label tenant"]
    assert faults("sum(penguinmails_queue_depth", known) == ["brackets do not match"]


def test_alert_rules_are_complete() -> None:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    guide = (ROOT / "docs" / "observability.md").read_text()
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names)) >= 10
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["description"], rule["alert"]
        assert f"`{rule['alert']}`" in guide, f"docs/observability.md does not say what to do about {rule['alert']}"


def test_panels_have_places_of_their_own() -> None:
    for path in DASHBOARDS:
        panels = json.loads(path.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells


async def test_lanes_are_bounded(database: Database, tenant: Tenant) -> None:
    for number in range(3):
        await make_email(database, tenant, [Recipient(f"{number}@x.test")])
    await database.worker.execute("update email_recipients set lane = lane || address, due_at = now()")
    from penguinmails_api import metrics as module

    metrics = Metrics()
    before, module._MOST_LANES = module._MOST_LANES, 1
    try:
        await metrics.refresh(database.worker)
    finally:
        module._MOST_LANES = before
    depth = {
        sample.labels["lane"]: sample.value
        for family in metrics.registry.collect()
        if family.name == "penguinmails_queue_depth"
        for sample in family.samples
    }
    assert len(depth) == 2
    assert depth["other"] == 2
