"""All that can be told of a message before it is sent: by reading it, by asking blocklists, by asking SpamAssassin.

No number of our own is made up: each finding is a rule with a reason and a fix, and the score is SpamAssassin's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penguinmails_core.content_checks.rules import RULES, Severity
from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit.addresses import AddressError, Mailbox, parse_mailbox
from penguinmails_core.kit.clock import utcnow
from penguinmails_core.kit.dns import Resolver
from penguinmails_core.kit.ids import new_uuid
from penguinmails_core.templates.content import MAX_SOURCE, MAX_SUBJECT
from penguinmails_core.templates.renderer import Renderer
from penguinmails_core.templates.variables import value_fault
from penguinmails_sender.content.blocklists import Listings, check_hosts
from penguinmails_sender.content.spamd import Spamd, SpamdError, SpamReport
from penguinmails_sender.message import Mailbox as MessageMailbox
from penguinmails_sender.message import OutgoingMessage
from penguinmails_sender.mime import MimeError, build

_STAND_IN = "sender@example.com"
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
NOT_CONFIGURED, CHECKED, UNAVAILABLE = "not_configured", "checked", "unavailable"


@dataclass(frozen=True, slots=True)
class Content:
    """`subject` None: it is not looked at. `message_class` is transactional or campaign."""

    subject: str | None
    html: str | None
    text: str | None
    message_class: str
    from_: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """`part` is subject, html or text; `line` is of that part, from 1."""

    rule: str
    severity: Severity
    what: str
    fix: str
    part: str
    line: int | None
    snippet: str | None


@dataclass(frozen=True, slots=True)
class Spam:
    """`report` is there when `status` is checked; `detail` says why it is not."""

    status: str
    detail: str | None
    report: SpamReport | None


@dataclass(frozen=True, slots=True)
class Blocklists:
    status: str
    hosts: tuple[str, ...]
    unusable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """`findings` with the worst first. `message_bytes` is None when there is no message to build."""

    findings: tuple[Finding, ...]
    html_bytes: int
    message_bytes: int | None
    spam: Spam
    blocklists: Blocklists

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)


class ContentChecker:
    """`spamd` None and no `zones`: the operator has set none, and the report says so."""

    def __init__(self, renderer: Renderer, resolver: Resolver, spamd: Spamd | None, zones: Sequence[str]) -> None:
        self._renderer = renderer
        self._resolver = resolver
        self._spamd = spamd
        self._zones = tuple(zones)

    async def check(self, content: Content) -> Report:
        """Raises `Unprocessable` for what is no message."""
        sender = _checked(content)
        read = await self._renderer.lint(
            {
                "subject": content.subject,
                "html": content.html,
                "text": content.text,
                "class": content.message_class,
            }
        )
        if "failed" in read:
            detail = "The HTML takes too long to read. Make it shorter and flatter."
            raise Unprocessable(detail, errors=[FieldError("/html", "too_expensive", detail)])
        lines = {entry["host"]: entry for entry in read["hosts"]}
        blocklists, listed = await self._blocklists(lines)
        findings = [_finding(**found) for found in read["findings"]] + listed
        message = _built(content, sender)
        return Report(
            tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity])),
            read["html_bytes"],
            len(message) if message is not None else None,
            await self._spam(message),
            blocklists,
        )

    async def _blocklists(self, lines: Mapping[str, Mapping[str, Any]]) -> tuple[Blocklists, list[Finding]]:
        if not self._zones:
            return Blocklists(NOT_CONFIGURED, (), ()), []
        found: Listings = await check_hosts(self._resolver, self._zones, list(lines))
        status = UNAVAILABLE if len(found.unusable) == len(self._zones) else CHECKED
        listed = [
            _finding(
                "link_listed",
                lines[item.host]["part"],
                lines[item.host]["line"],
                f"{item.host}: {item.zone} says {item.code}",
            )
            for item in found.found
        ]
        return Blocklists(status, found.checked, found.unusable), listed

    async def _spam(self, message: bytes | None) -> Spam:
        if self._spamd is None:
            return Spam(NOT_CONFIGURED, "The operator has set no SpamAssassin (PENGUINMAILS_SPAMD_URL).", None)
        if message is None:
            return Spam(UNAVAILABLE, "No message can be built of this.", None)
        try:
            return Spam(CHECKED, None, await self._spamd.report(message))
        except SpamdError as error:
            return Spam(UNAVAILABLE, f"{error}.", None)


def _finding(rule: str, part: str, line: int | None, snippet: str | None) -> Finding:
    known = RULES[rule]
    return Finding(rule, known.severity, known.what, known.fix, part, line, snippet)


def _checked(content: Content) -> Mailbox:
    errors: list[FieldError] = []
    if content.html is None and content.text is None:
        errors.append(FieldError("/html", "missing_content", "Give `html`, `text` or both."))
    for name, value, most in (
        ("subject", content.subject, MAX_SUBJECT),
        ("html", content.html, MAX_SOURCE),
        ("text", content.text, MAX_SOURCE),
    ):
        if value is not None and len(value) > most:
            errors.append(FieldError(f"/{name}", "too_long", f"`{name}` may have {most} characters."))
        if value is not None and (fault := value_fault(value)):
            errors.append(FieldError(f"/{name}", "invalid", f"`{name}`: {fault}."))
    sender = parse_mailbox(_STAND_IN)
    if content.from_ is not None:
        try:
            sender = parse_mailbox(content.from_)
        except AddressError as error:
            errors.append(FieldError("/from", error.code, error.detail))
    if errors:
        detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need attention; see `errors`."
        raise Unprocessable(detail, errors=errors)
    return sender


def _built(content: Content, sender: Mailbox) -> bytes | None:
    """As it would leave, so that nothing is held against it that a real message does not have."""
    headers = (
        (("List-Unsubscribe", "<https://example.com/u>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        if content.message_class == "campaign"
        else ()
    )
    subject = "".join(character if character.isprintable() else " " for character in content.subject or "")
    message = OutgoingMessage(
        message_id=f"{new_uuid()}@{sender.domain}",
        date=utcnow(),
        from_=MessageMailbox(sender.address, sender.name),
        to=(MessageMailbox("recipient@example.com"),),
        subject=subject,
        text=content.text,
        html=content.html,
        headers=headers,
    )
    try:
        return build(message)
    except MimeError:
        return None
