"""What a mailbox may be. Pure: nothing is looked up.

Default caps are data with a source: the advice of cold-mail tools agrees on 30 to 50 a day for each mailbox, warm-up
included, and 20 to 30 for one that is new; spread over a working day, that is 10 an hour and two minutes between two
messages. The most that may be set is what Google Workspace lets one account send in a day (2,000 recipients).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.addresses import AddressError, Mailbox, parse_address
from penguinmails_core.kit.http_guard import DENIED_PORTS, OutgoingError, check_host
from penguinmails_core.kit.texts import text_errors

DAILY_CAP, HOURLY_CAP, MIN_GAP, GAP_JITTER = 30, 10, 120, 60
MAX_DAILY, MAX_HOURLY, MAX_GAP, MAX_JITTER = 2_000, 500, 86_400, 3_600
MAX_ALIASES = 50
MAX_SIGNATURE = 20_000
MAX_NAME = 200
MAX_IMPORT = 500
MAIL_PORTS = frozenset({25, 465, 587, 143, 993})
FORBIDDEN_PORTS = DENIED_PORTS - MAIL_PORTS


def read_address(pointer: str, value: str, errors: list[FieldError]) -> Mailbox | None:
    try:
        return parse_address(value.strip())
    except AddressError as error:
        errors.append(FieldError(pointer, error.code, error.detail))
        return None


def read_aliases(values: Sequence[str], own: str | None, errors: list[FieldError]) -> list[str]:
    """Each once, in the form that is sent; the mailbox's own address is none of its aliases."""
    if len(values) > MAX_ALIASES:
        errors.append(FieldError("/aliases", "too_many", f"A mailbox has at most {MAX_ALIASES} aliases."))
        return []
    found: dict[str, str] = {}
    for position, value in enumerate(values):
        mailbox = read_address(f"/aliases/{position}", value, errors)
        if mailbox is not None and mailbox.canonical != own:
            found.setdefault(mailbox.canonical, mailbox.address)
    return list(found.values())


def server_errors(pointer: str, server: Mapping[str, Any], *, allow_private: bool) -> list[FieldError]:
    """Host, port and user name; what a name resolves to is checked whenever it is called."""
    errors = []
    try:
        check_host(server["host"], allow_private=allow_private)
    except OutgoingError as error:
        detail = error.detail[0].upper() + error.detail[1:] + "."
        errors.append(FieldError(f"{pointer}/host", error.reason, detail.replace("of the URL ", "")))
    if server["port"] in FORBIDDEN_PORTS and not allow_private:
        detail = f"Port {server['port']} is not one of mail. Usual are 465 and 587 for SMTP, 993 and 143 for IMAP."
        errors.append(FieldError(f"{pointer}/port", "invalid_port", detail))
    for name in ("username", "password"):
        if set("\0\r\n") & set(server.get(name) or ""):
            detail = f"`{name}` holds a NUL or a line break, which no mail server can be told (RFC 4616)."
            errors.append(FieldError(f"{pointer}/{name}", "control_character", detail))
    return errors + text_errors(f"{pointer}/username", server.get("username") or "x", most=320)


def text_field_errors(values: Mapping[str, Any]) -> list[FieldError]:
    errors = []
    for name, most, lines in (
        ("display_name", MAX_NAME, False),
        ("signature_html", MAX_SIGNATURE, True),
        ("signature_text", MAX_SIGNATURE, True),
    ):
        if values.get(name) is not None:
            errors += text_errors(f"/{name}", values[name], most=most, lines=lines)
    return errors


def cap_errors(daily: int, hourly: int) -> list[FieldError]:
    if hourly <= daily:
        return []
    detail = f"`hourly_cap` ({hourly}) must not be more than `daily_cap` ({daily})."
    return [FieldError("/hourly_cap", "out_of_range", detail)]


def refuse(errors: Sequence[FieldError]) -> None:
    """Raises `Unprocessable` when there are any."""
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)
