"""`emails`: send and look at mail through the API, with the Python SDK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from penguinmails_api.cli.output import fail, show_json

app = typer.Typer(help="Send and look at emails (PENGUINMAILS_API_KEY, PENGUINMAILS_BASE_URL).", no_args_is_help=True)


def _client() -> Any:
    from penguinmails_api.runtime.connect import api_client

    return api_client()


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}", param_hint=option) from None


@app.command()
def send(
    sender: str = typer.Option(..., "--from", help="Sender; its domain must be verified."),
    to: list[str] = typer.Option(..., help="Recipient; repeat for more."),
    subject: str = typer.Option(..., help="Subject."),
    text: str = typer.Option(None, help="Plain text body."),
    html_file: Path = typer.Option(None, help="File with the HTML body."),
    cc: list[str] = typer.Option([], help="Cc recipient; repeat for more."),
    bcc: list[str] = typer.Option([], help="Bcc recipient; repeat for more."),
    attach: list[Path] = typer.Option([], help="File to attach; repeat for more."),
    tag: list[str] = typer.Option([], help="Tag; repeat for more."),
    idempotency_key: str = typer.Option(None, help="Makes a repeated call harmless."),
) -> None:
    """Send one email and print what the API answers."""
    from penguinmails import Attachment, PenguinMailsError

    fields: dict[str, Any] = {"from_": sender, "to": to, "subject": subject}
    if text is not None:
        fields["text"] = text
    if html_file is not None:
        fields["html"] = _read(html_file, "--html-file")
    for name, value in (("cc", cc), ("bcc", bcc), ("tags", tag)):
        if value:
            fields[name] = value
    try:
        if attach:
            fields["attachments"] = [Attachment.from_path(path) for path in attach]
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint="--attach") from None
    if idempotency_key:
        fields["idempotency_key"] = idempotency_key
    with _client() as client:
        try:
            show_json(client.emails.send(**fields).to_dict())
        except PenguinMailsError as error:
            raise fail(error) from None


@app.command()
def get(email_id: str = typer.Argument(help="Id such as msg_01h...")) -> None:
    """Show one email with its recipients."""
    from penguinmails import PenguinMailsError

    with _client() as client:
        try:
            show_json(client.emails.get(email_id).to_dict())
        except PenguinMailsError as error:
            raise fail(error) from None


@app.command(name="list")
def list_emails(
    status: str = typer.Option(None, help="Only emails with this status."),
    limit: int = typer.Option(20, min=1, max=100, help="How many."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List emails, the newest first."""
    from penguinmails import PenguinMailsError

    filters: dict[str, Any] = {"limit": limit}
    if status:
        filters["status"] = [status]
    with _client() as client:
        try:
            rows = [email.to_dict() for email in client.emails.list(**filters).data]
        except PenguinMailsError as error:
            raise fail(error) from None
    if as_json:
        show_json(rows)
        return
    for row in rows:
        sender = row["from"]["address"]
        typer.echo(f"{row['id']}  {row['status']:<10}  {row['created_at']}  {sender:<30}  {row['subject']}")
    if not rows:
        typer.echo("No emails yet.", err=True)
