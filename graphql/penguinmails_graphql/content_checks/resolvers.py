"""`checkContent`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import strawberry

from penguinmails_core.content_checks.rules import Severity
from penguinmails_core.scopes import Scope
from penguinmails_core.templates.sending import TemplateFiller
from penguinmails_graphql.context import Info, caller_of
from penguinmails_graphql.emails.inputs import EmailClass, EmailTemplateInput
from penguinmails_graphql.templates.inputs import values_of
from penguinmails_sender.content.check import Content, Finding, Report


@strawberry.enum(description="`ERROR`: people or providers will mind. `WARNING`: some will. `INFO`: worth knowing.")
class ContentSeverity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@strawberry.enum(description="`NOT_CONFIGURED`: the operator has set none. `UNAVAILABLE`: it did not answer.")
class CheckStatus(StrEnum):
    CHECKED = "checked"
    NOT_CONFIGURED = "not_configured"
    UNAVAILABLE = "unavailable"


@strawberry.type
class ContentFinding:
    id: str = strawberry.field(description="The rule; the guide lists them all.")
    severity: ContentSeverity
    what: str
    fix: str
    part: str = strawberry.field(description="`subject`, `html` or `text`.")
    line: int | None
    snippet: str | None

    @classmethod
    def of(cls, found: Finding) -> Self:
        return cls(
            id=found.rule,
            severity=ContentSeverity(found.severity),
            what=found.what,
            fix=found.fix,
            part=found.part,
            line=found.line,
            snippet=found.snippet,
        )


@strawberry.type
class SpamAssassinRule:
    name: str
    score: float
    description: str
    counted: bool = strawberry.field(description="False for rules about the way a message came.")


@strawberry.type(description="What SpamAssassin says; we add nothing of our own.")
class SpamAssassinCheck:
    status: CheckStatus
    detail: str | None
    score: float | None
    threshold: float | None
    rules: list[SpamAssassinRule]


@strawberry.type(description="Hosts of links on the operator's lists; what is listed is a finding.")
class BlocklistCheck:
    status: CheckStatus
    hosts: list[str]
    unusable: list[str]


@strawberry.type(description="What is wrong with a message, and how to mend it.")
class ContentCheck:
    passed: bool
    errors: int
    warnings: int
    findings: list[ContentFinding]
    html_bytes: int
    message_bytes: int | None
    spam: SpamAssassinCheck
    blocklists: BlocklistCheck

    @classmethod
    def of(cls, report: Report) -> Self:
        spam, errors = report.spam, report.count(Severity.ERROR)
        return cls(
            passed=errors == 0,
            errors=errors,
            warnings=report.count(Severity.WARNING),
            findings=[ContentFinding.of(found) for found in report.findings],
            html_bytes=report.html_bytes,
            message_bytes=report.message_bytes,
            spam=SpamAssassinCheck(
                status=CheckStatus(spam.status),
                detail=spam.detail,
                score=spam.report.score if spam.report else None,
                threshold=spam.report.threshold if spam.report else None,
                rules=[
                    SpamAssassinRule(
                        name=rule.name, score=rule.score, description=rule.description, counted=rule.counted
                    )
                    for rule in (spam.report.rules if spam.report else ())
                ],
            ),
            blocklists=BlocklistCheck(
                status=CheckStatus(report.blocklists.status),
                hosts=list(report.blocklists.hosts),
                unusable=list(report.blocklists.unusable),
            ),
        )


@strawberry.input(description="`html`, `text` or both, or a `template` (drafts too, with sample values).")
class CheckContentInput:
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    template: EmailTemplateInput | None = None
    from_: str | None = strawberry.field(name="from", default=None)
    message_class: EmailClass = strawberry.field(name="class", default=EmailClass.TRANSACTIONAL)


@dataclass(frozen=True, slots=True)
class _Said:
    subject: str | None
    html: str | None
    text: str | None
    to: str = ""


@strawberry.type
class ContentChecksQuery:
    @strawberry.field(description="Each finding with its place and a fix. Nothing is stored or sent.")
    async def check_content(self, info: Info, input: CheckContentInput) -> ContentCheck:
        caller, services = caller_of(info, Scope.TEMPLATES_READ), info.context.services
        said: Any = _Said(input.subject, input.html, input.text)
        if (choice := input.template) is not None:
            given = values_of(choice.variables, "variables") if choice.variables is not None else None
            filler = TemplateFiller(services.database, services.renderer, caller, drafts=True)
            said = await filler.fill(said, choice, given)
        content = Content(said.subject, said.html, said.text, str(input.message_class), input.from_)
        return ContentCheck.of(await services.content_checker.check(content))
