"""`trigger`: a signed sample of an event, to an endpoint or to a server on your own machine, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from penguinmails_api.cli.listen import complete_url, local_secret
from penguinmails_api.cli.output import fail, show_json


def add_to(app: typer.Typer) -> None:
    app.command()(trigger)


def trigger(
    event: str = typer.Argument(
        help="An event type such as email.bounced, or the id of an event of the log (evt_...)."
    ),
    to: list[str] = typer.Option(
        [],
        help="An endpoint (whe_...) or a URL; repeat for more. Default: every enabled endpoint that wants the event.",
    ),
    data: Path = typer.Option(None, help="File with the JSON object to send as `data`; - is standard input."),
    changes: list[str] = typer.Option(
        [], "--set", help="Change one member of `data`: recipient.address=ada@example.com."
    ),
    secret: str = typer.Option(
        None,
        envvar="PENGUINMAILS_WEBHOOK_SECRET",
        help="Sign with this whsec_... what goes to a URL. Default: the one of `penguinmails listen`.",
        show_default=False,
    ),
    as_json: bool = typer.Option(False, "--json", help="Print what happened as JSON."),
) -> None:
    """Send a signed sample and say what the receiver did with it, also with the signature when it echoes its own.

    Nothing is recorded. Exit status: 1 when a receiver did not take it, or something about it is wrong.
    """
    from penguinmails import PenguinMailsError

    try:
        results = []
        for result in _results(event, to, data, changes, secret):
            results.append(result)
            if not as_json:
                _show(result)
    except PenguinMailsError as error:
        raise fail(error) from None
    if as_json:
        show_json(results)
    if not all(result["passed"] for result in results):
        raise typer.Exit(1)


def _results(
    event: str, to: list[str], data: Path | None, changes: list[str], secret: str | None
) -> Iterator[dict[str, Any]]:
    """What happened at each target: `to`, `passed`, `findings`, `status_code`, `total_ms`."""
    urls = [complete_url(target) for target in to if not target.startswith("whe_")]
    ids = [target for target in to if target.startswith("whe_")]
    chosen = _given(data)
    if urls:
        yield from _to_urls(event, urls, chosen, changes, secret or local_secret())
    if urls and not ids:
        return
    from penguinmails_api.runtime.connect import api_client

    with api_client() as client:
        sent: dict[str, Any] = {"event_id" if event.startswith("evt_") else "event_type": event}
        if chosen is not None or changes:
            known = chosen if chosen is not None else _data_of(event, client)
            sent["data"] = _changed(known, changes)
        for endpoint_id in ids or _wanting(event, client):
            answer = client.webhook_endpoints.with_raw_response.test(endpoint_id, **sent).http_response.json()["result"]
            status = answer["answer"]["status_code"] if answer["answer"] else None
            findings = answer["findings"]
            yield _result(endpoint_id, answer["passed"], findings, status, answer["timing"]["total_ms"])


def _to_urls(
    event: str, urls: list[str], chosen: dict[str, Any] | None, changes: list[str], secret: str
) -> Iterator[dict[str, Any]]:
    """Sent from here: no server takes part, except to look up an event of the log."""
    import asyncio

    from penguinmails_core.kit.dns import SystemResolver
    from penguinmails_webhooks.doctor import Secret, Signed
    from penguinmails_webhooks.doctor_run import Doctor
    from penguinmails_webhooks.doctor_service import TEST_HEADER
    from penguinmails_webhooks.signing import SecretError, signed_headers

    whole = _event(event)
    whole["data"] = _changed(chosen if chosen is not None else whole["data"], changes)
    body = json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()
    stamp = _now()
    try:
        headers = signed_headers([secret], whole["id"], stamp, body)
    except SecretError as error:
        raise typer.BadParameter(str(error), param_hint="--secret") from None
    headers |= {"content-type": "application/json", TEST_HEADER: "true"}
    doctor = Doctor(SystemResolver(), allow_private=True)
    for url in urls:
        signed = Signed(whole["id"], str(stamp), body)
        outcome = asyncio.run(doctor.examine(url, signed, headers, [Secret(secret)]))
        findings = [asdict(finding) for finding in outcome.findings]
        status = outcome.result.status if outcome.result else None
        yield _result(url, outcome.passed, findings, status, round(outcome.timing.total))


def _result(to: str, passed: bool, findings: Any, status: int | None, total: int) -> dict[str, Any]:
    return {"to": to, "passed": passed, "status_code": status, "total_ms": total, "findings": findings}


def _show(result: dict[str, Any]) -> None:
    sign, colour = ("✓", "green") if result["passed"] else ("✗", "red")
    status = result["status_code"] or "no answer"
    typer.secho(f"{sign} {result['to']}  {status}  {result['total_ms']} ms", fg=colour)
    for finding in result["findings"]:
        if finding["level"] != "ok" or finding["code"] == "signature_ok":
            typer.echo(f"    {finding['level']}  {finding['code']}: {finding['detail']}")


def _event(event: str) -> dict[str, Any]:
    """The event of the log with that id, or the catalogue's sample as if it had just happened."""
    from penguinmails_core.kit.clock import rfc3339, utcnow
    from penguinmails_core.kit.ids import Prefix, encode, new_uuid
    from penguinmails_webhooks.events import CATALOGUE, example_event

    if event.startswith("evt_"):
        from penguinmails_api.runtime.connect import api_client

        with api_client() as client:
            return _logged(event, client)
    known = {found.value: found for found in CATALOGUE}
    if event not in known:
        import difflib

        near = difflib.get_close_matches(event, known, n=3)
        advice = f"; did you mean {', '.join(near)}?" if near else ""
        raise typer.BadParameter(f"there is no event type {event!r}{advice}", param_hint="EVENT")
    return example_event(known[event]) | {"id": encode(Prefix.EVENT, new_uuid()), "timestamp": rfc3339(utcnow())}


def _logged(event_id: str, client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.events.with_raw_response.get(event_id).http_response.json()
    return found


def _data_of(event: str, client: Any) -> dict[str, Any]:
    data = (_logged(event, client) if event.startswith("evt_") else _event(event))["data"]
    return dict(data)


def _wanting(event: str, client: Any) -> list[str]:
    """Every enabled endpoint that asked for events of this type."""
    from penguinmails_webhooks.events import matches

    event_type = _logged(event, client)["type"] if event.startswith("evt_") else _event(event)["type"]
    endpoints = [endpoint.to_dict() for endpoint in client.webhook_endpoints.list()]
    found = [
        endpoint["id"]
        for endpoint in endpoints
        if endpoint["status"] == "enabled" and matches(endpoint["events"], event_type)
    ]
    if not found:
        detail = f"no enabled endpoint wants {event_type}; name one, or a URL: --to http://localhost:3000/hook"
        raise typer.BadParameter(detail, param_hint="--to")
    return found


def _given(path: Path | None) -> dict[str, Any] | None:
    import sys

    if path is None:
        return None
    try:
        value = json.loads(sys.stdin.read() if str(path) == "-" else path.read_text())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}", param_hint="--data") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("give a JSON object", param_hint="--data")
    return value


def _changed(data: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """With ``a.b=value`` for each change; a value is JSON, or else text."""
    data = json.loads(json.dumps(data))
    for change in changes:
        path, sign, text = change.partition("=")
        if not sign or not path:
            raise typer.BadParameter(f"write {change!r} as member=value", param_hint="--set")
        *parents, last = path.split(".")
        place = data
        for name in parents:
            if not isinstance(place.get(name), dict):
                place[name] = {}
            place = place[name]
        try:
            place[last] = json.loads(text)
        except ValueError:
            place[last] = text
    return dict(data)


def _now() -> int:
    import time

    return int(time.time())
