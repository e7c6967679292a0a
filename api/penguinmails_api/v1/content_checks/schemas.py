"""Content checks as the API shows them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field

from penguinmails_api.v1.common import RequestBody, Resource
from penguinmails_api.v1.emails.send_schemas import Address, EmailClass, EmailTemplate
from penguinmails_api.v1.limits import AtMost
from penguinmails_core.content_checks.rules import Severity
from penguinmails_core.templates.content import MAX_SOURCE, MAX_SUBJECT
from penguinmails_sender.content.check import Content, Report

Source = Annotated[str, AtMost(maxLength=MAX_SOURCE)]


class ContentCheckTemplate(EmailTemplate):
    """Drafts can be checked, too: the latest version when none is named, with the sample values when none are given."""

    variables: dict[str, Any] | None = Field(  # type: ignore[assignment]  # null means something else here
        None,
        description="Values by name; the template's sample values when left out.",
        examples=[{"first_name": "Ada"}],
    )


class ContentCheckRequest(RequestBody):
    """What is to be checked: `html`, `text` or both, or a `template`."""

    model_config = ConfigDict(
        populate_by_name=False,
        json_schema_extra={
            "examples": [
                {
                    "subject": "Your order",
                    "html": '<html lang="en"><body><p>It is <a href="http://acme.example/o">here</a>.</p></body></html>',
                    "text": "It is here: http://acme.example/o",
                    "class": "transactional",
                }
            ]
        },
    )

    subject: Annotated[str, AtMost(maxLength=MAX_SUBJECT)] | None = Field(
        None, description="Not looked at when left out.", examples=["Your order"]
    )
    html: Source | None = Field(None, description="At most 200,000 characters.", examples=["<p>Hello</p>"])
    text: Source | None = Field(None, examples=["Hello"])
    template: ContentCheckTemplate | None = Field(None, description="In the place of `subject`, `html` and `text`.")
    from_: Address | None = Field(
        None, alias="from", description="Whose message it would be; somebody's at example.com when left out."
    )
    message_class: EmailClass = Field(
        EmailClass.TRANSACTIONAL, alias="class", description="`campaign` must have a way out."
    )


@dataclass(frozen=True, slots=True)
class AsSaid:
    """For the template: a check has no recipient."""

    subject: str | None
    html: str | None
    text: str | None
    to: str = ""


class ContentPart(StrEnum):
    SUBJECT = "subject"
    HTML = "html"
    TEXT = "text"


class ContentSeverity(StrEnum):
    """`error`: people or providers will mind. `warning`: some will. `info`: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class CheckStatus(StrEnum):
    """`not_configured`: the operator has set none. `unavailable`: it did not answer."""

    CHECKED = "checked"
    NOT_CONFIGURED = "not_configured"
    UNAVAILABLE = "unavailable"


class ContentFinding(Resource):
    id: str = Field(description="The rule; the guide lists them all.", examples=["link_not_https"])
    severity: ContentSeverity
    what: str = Field(examples=["A link is not encrypted."])
    fix: str = Field(examples=["Use https:// instead of http://."])
    part: ContentPart
    line: int | None = Field(description="In that part, from 1.", examples=[1])
    snippet: str | None = Field(description="What it is about.", examples=["http://acme.example/o"])


class SpamAssassinRule(Resource):
    name: str = Field(examples=["HTML_MESSAGE"])
    score: float = Field(examples=[0.1])
    description: str = Field(description="SpamAssassin's own words.", examples=["BODY: HTML included in message"])
    counted: bool = Field(description="False for rules about the way a message came, of which a check knows nothing.")


class SpamAssassinCheck(Resource):
    """What SpamAssassin says. The score is the sum of its rules that count; we add none of our own."""

    status: CheckStatus
    detail: str | None = Field(description="Why it was not checked.", examples=[None])
    score: float | None = Field(examples=[0.1])
    threshold: float | None = Field(description="From here on SpamAssassin calls it spam.", examples=[5.0])
    rules: list[SpamAssassinRule]


class BlocklistCheck(Resource):
    """Hosts of links on the operator's lists; what is listed is a finding."""

    status: CheckStatus
    hosts: list[str] = Field(description="Those that were asked about, at most 30.", examples=[["acme.example"]])
    unusable: list[str] = Field(
        description="Zones that did not answer as a list must (RFC 5782): they said nothing.", examples=[[]]
    )


class ContentCheck(Resource):
    """What is wrong with a message, and how to mend it."""

    passed: bool = Field(description="No finding is an error.")
    errors: int = Field(examples=[0])
    warnings: int = Field(examples=[1])
    findings: list[ContentFinding] = Field(description="The worst first; at most 20 of a rule.")
    html_bytes: int = Field(description="Gmail shows the first 102 KB.", examples=[88])
    message_bytes: int | None = Field(description="Of the whole message without attachments.", examples=[912])
    spam: SpamAssassinCheck
    blocklists: BlocklistCheck

    @classmethod
    def of(cls, report: Report) -> Self:
        spam, errors = report.spam, report.count(Severity.ERROR)
        rules = spam.report.rules if spam.report else ()
        return cls(
            passed=errors == 0,
            errors=errors,
            warnings=report.count(Severity.WARNING),
            findings=[
                ContentFinding(
                    id=found.rule,
                    severity=ContentSeverity(found.severity),
                    what=found.what,
                    fix=found.fix,
                    part=ContentPart(found.part),
                    line=found.line,
                    snippet=found.snippet,
                )
                for found in report.findings
            ],
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
                    for rule in rules
                ],
            ),
            blocklists=BlocklistCheck(
                status=CheckStatus(report.blocklists.status),
                hosts=list(report.blocklists.hosts),
                unusable=list(report.blocklists.unusable),
            ),
        )


def content_of(body: ContentCheckRequest, said: Any) -> Content:
    """`said` has subject, html and text: the body itself, or its template filled in."""
    return Content(said.subject, said.html, said.text, str(body.message_class), body.from_)
