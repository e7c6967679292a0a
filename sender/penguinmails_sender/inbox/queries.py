"""Query parameters of the inbox's API: every one is checked, and what is not known is refused."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from penguinmails_core.errors import FieldError, Unprocessable
from penguinmails_core.kit import ids
from penguinmails_sender.inbox.store import ID_PREFIX, CapturedMessage

MAX_LIMIT = 100
DEFAULT_LIMIT = 50
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Filters are lower case and match anywhere; empty means any. `after` is the id to continue behind."""

    q: str
    to: str
    sender: str
    subject: str
    limit: int
    after: str | None

    def matches(self, message: CapturedMessage) -> bool:
        if self.to and not _in(self.to, (message.summary.to, *message.received.recipients)):
            return False
        if self.sender and not _in(self.sender, (message.summary.sender, message.received.envelope_sender)):
            return False
        if self.subject and not _in(self.subject, (message.summary.subject,)):
            return False
        return all(word in message.search for word in self.q.split())


def list_query(request: Request) -> ListQuery:
    """Raises Unprocessable (422) with one entry for each parameter that is not usable."""
    known = ("q", "to", "from", "subject", "limit", "after")
    errors = _strangers(request, known)
    texts = {name: request.query_params.get(name, "").lower() for name in known[:4]}
    for name, text in texts.items():
        if len(text) > MAX_TEXT:
            errors.append(FieldError(name, "too_long", f"At most {MAX_TEXT} characters; there are {len(text)}."))
    limit_text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    limit = int(limit_text) if limit_text.isascii() and limit_text.isdigit() and len(limit_text) < 6 else 0
    if not 1 <= limit <= MAX_LIMIT:
        errors.append(FieldError("limit", "out_of_range", f"A whole number from 1 to {MAX_LIMIT}."))
    after = request.query_params.get("after")
    if after is not None and not is_id(after):
        errors.append(FieldError("after", "invalid_cursor", "Use the next_cursor of the page before, unchanged."))
    if errors:
        raise Unprocessable("Some query parameters need attention.", errors=errors)
    return ListQuery(texts["q"], texts["to"], texts["from"], texts["subject"], limit, after)


def no_query(request: Request) -> None:
    """For routes without parameters. Raises Unprocessable (422)."""
    if errors := _strangers(request, ()):
        raise Unprocessable("Some query parameters need attention.", errors=errors)


def is_id(text: str) -> bool:
    try:
        ids.decode(ID_PREFIX, text)
    except ids.IdError:
        return False
    return True


def _strangers(request: Request, known: tuple[str, ...]) -> list[FieldError]:
    names = [name for name, _ in request.query_params.multi_items()]
    errors = [
        FieldError(name, "unknown_parameter", f"Known parameters: {', '.join(known) or 'none'}.")
        for name in dict.fromkeys(names)
        if name not in known
    ]
    twice = [name for name in known if names.count(name) > 1]
    return errors + [FieldError(name, "given_twice", "Give this parameter once.") for name in twice]


def _in(needle: str, texts: tuple[str, ...]) -> bool:
    return any(needle in text.lower() for text in texts)
