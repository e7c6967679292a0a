"""`webhooks`: sign and verify on this machine. Nothing is sent, and no server is needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from penguinmails_webhooks.doctor import Finding

app = typer.Typer(help="Sign and verify webhooks on this machine.", no_args_is_help=True)

SECRET = typer.Option(
    [], envvar="PENGUINMAILS_WEBHOOK_SECRET", help="The endpoint's whsec_...; repeat for more.", show_default=False
)


@app.callback()
def group() -> None:
    """Sign and verify webhooks on this machine."""


@app.command()
def sign() -> None:
    """Read JSON {"id", "timestamp", "payload", "secret"} on standard input, print the value of `webhook-signature`.

    A payload that is a string is signed byte for byte, as UTF-8; anything else as compact JSON. `timestamp` is in Unix
    seconds. `secret` may be a list: then there is a signature for each.
    """
    from penguinmails_webhooks import signing

    request = _read_request(sys.stdin.buffer.read())
    try:
        secrets = request["secret"] if isinstance(request["secret"], list) else [request["secret"]]
        typer.echo(signing.sign(secrets, request["id"], request["timestamp"], request["payload"]))
    except signing.SecretError as error:
        raise _usage(f"secret: {error}") from None


def _read_request(raw: bytes) -> dict[str, Any]:
    """The request with a payload of bytes and a timestamp that is an int. Raises `typer.Exit` saying what is wrong."""
    try:
        request = json.loads(raw)
    except (ValueError, RecursionError):
        raise _usage('standard input is no JSON; give {"id", "timestamp", "payload", "secret"}') from None
    names = ("id", "timestamp", "payload", "secret")
    if not isinstance(request, dict) or (missing := [name for name in names if name not in request]):
        lacking = f": {', '.join(missing)} missing" if isinstance(request, dict) else ""
        raise _usage(f'give one JSON object {{"id", "timestamp", "payload", "secret"}}{lacking}')
    if not isinstance(request["id"], str) or not request["id"]:
        raise _usage("id: give the webhook-id as a string")
    secrets = request["secret"] if isinstance(request["secret"], list) else [request["secret"]]
    if not secrets or not all(isinstance(secret, str) for secret in secrets):
        raise _usage("secret: give a string, or a list of strings")
    stamp = request["timestamp"]
    digits = str(stamp) if isinstance(stamp, int | str) and not isinstance(stamp, bool) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12 and str(int(digits)) == digits):
        raise _usage("timestamp: give whole Unix seconds")
    try:
        request["id"].encode()
        return request | {"timestamp": int(digits), "payload": _payload(request["payload"])}
    except UnicodeEncodeError:
        raise _usage("id and payload: half of a surrogate pair cannot be written as UTF-8") from None


def _payload(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _usage(message: str) -> typer.Exit:
    typer.echo(f"penguinmails: {message}", err=True)
    return typer.Exit(2)


@app.command()
def verify(
    request: Path = typer.Option(None, help="File with the whole request: header lines, an empty line, the body."),
    body: Path = typer.Option(None, help="File with the body exactly as received; - is standard input."),
    headers: Path = typer.Option(None, help="File with the headers: lines `name: value`, or a JSON object."),
    header: list[str] = typer.Option([], "--header", "-H", help="One header, `name: value`; repeat for more."),
    secret: list[str] = SECRET,
    tolerance: int = typer.Option(300, min=0, help="Seconds that a request may be old, or ahead."),
    at: float = typer.Option(None, help="Verify as if it were this moment, in Unix seconds. Default: now."),
    as_json: bool = typer.Option(False, "--json", help="Print the findings as JSON."),
) -> None:
    """Say whether a webhook request is to be trusted, and if not, what is wrong with it.

    Without --request and --body, a whole request is read from standard input. Exit status: 0 trusted, 1 not trusted, 2
    something is missing to tell.
    """
    import time

    from penguinmails_webhooks.doctor import Level
    from penguinmails_webhooks.doctor_verify import examine

    if not secret:
        raise _usage("give --secret, or set PENGUINMAILS_WEBHOOK_SECRET")
    found, raw = _material(request, body, headers, header)
    findings = examine(found, raw, secret, tolerance=tolerance, now=time.time() if at is None else at)
    trusted = all(finding.level is not Level.ERROR for finding in findings)
    if as_json:
        typer.echo(json.dumps({"trusted": trusted, "findings": [_shown(finding) for finding in findings]}))
    else:
        for finding in findings:
            sign, colour = ("✓", "green") if finding.level is Level.OK else ("✗", "red")
            typer.secho(f"{sign} {finding.code}: {finding.detail}", fg=colour)
    if not trusted:
        raise typer.Exit(1)


def _shown(finding: Finding) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(finding)


def _material(
    request: Path | None, body: Path | None, headers: Path | None, single: list[str]
) -> tuple[Mapping[str, str], bytes]:
    """(headers, body)."""
    if request is not None and (body is not None or headers is not None):
        raise _usage("give --request, or --body with --headers, not both")
    if body is None:
        if headers is not None:
            raise _usage("--headers goes with --body")
        found, raw = _split(_read(request or Path("-"), "--request"))
    else:
        raw = _read(body, "--body")
        found = _parse_headers(_read(headers, "--headers")) if headers is not None else {}
    return found | _parse_headers("\n".join(single).encode()), raw


def _read(path: Path, option: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise _usage(f"{option}: cannot read {path}: {error.strerror}") from None


def _split(raw: bytes) -> tuple[dict[str, str], bytes]:
    """Head and body of a request (RFC 9112 §2.1); a file that was edited may have bare line feeds."""
    ends = [(raw.find(mark), len(mark)) for mark in (b"\r\n\r\n", b"\n\n") if mark in raw]
    if not ends:
        raise _usage("the request has no empty line between its headers and its body")
    place, length = min(ends)
    return _parse_headers(raw[:place]), raw[place + length :]


def _parse_headers(raw: bytes) -> dict[str, str]:
    text = raw.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            return {str(name): str(value) for name, value in json.loads(text).items()}
        except ValueError:
            raise _usage("--headers: neither lines `name: value` nor a JSON object") from None
    lines = [line.partition(":") for line in text.splitlines()]
    return {name.strip().lower(): value.strip() for name, colon, value in lines if colon and " " not in name.strip()}
