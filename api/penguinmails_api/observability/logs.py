"""How log lines look: as text or as one JSON object a line, with addresses and secrets masked in either."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO

from penguinmails_core.audit.masking import mask_text
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.principal import Principal, PrincipalKind

if TYPE_CHECKING:
    from penguinmails_api.context import RequestContext

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# Libraries that say more than an operator wants to read, and the SDK, which our own commands use.
_NOISY = ("alembic", "httpx", "penguinmails", "opentelemetry")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@(?=[\w-]+(?:\.[\w-]+)*)")
_MAX_PATH = 300

trace_ids: Callable[[], dict[str, str]] | None = None
"""Set by telemetry: the ids of the current span, for JSON lines."""


def mask(text: str) -> str:
    """Local parts of addresses (and passwords in URLs) as ``***``; keys, tokens and signing secrets redacted."""
    return _ADDRESS.sub("***@", mask_text(text)) if "@" in text else mask_text(text)


class TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__(_TEXT)

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


class JsonFormatter(logging.Formatter):
    """Members: time, level, logger, message, what was given as `extra` (such as request_id), exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = mask(value) if isinstance(value, str) else value
        if trace_ids is not None:
            line |= trace_ids()
        if record.exc_info:
            line["exception"] = mask(self.formatException(record.exc_info))
        return json.dumps(line, default=lambda value: mask(str(value)), ensure_ascii=False)


def configure_logging(
    level: str, form: Literal["text", "json"] = "text", stream: TextIO | None = None
) -> logging.Handler:
    """Everything from `level` on to `stream` (standard error). Returns the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler


_PREFIXES = {
    PrincipalKind.API_KEY: Prefix.API_KEY,
    PrincipalKind.OAUTH: Prefix.OAUTH_GRANT,
    PrincipalKind.SESSION: Prefix.USER,
    PrincipalKind.PORTAL_LINK: Prefix.WEBHOOK_PORTAL_LINK,
}


def _named(principal: Principal) -> str:
    return encode(_PREFIXES[principal.kind], principal.id)


def _path_of(path: str) -> str:
    """Whoever knows the path of an inbound source can call it."""
    return "/inbound/***" if path.startswith("/inbound/") else path[:_MAX_PATH]


_access = logging.getLogger("penguinmails_api.access")


def access_log(context: RequestContext, scope: Any, status: int, seconds: float) -> None:
    """One line for each request: never its query, and of who asks only the id of the credential."""
    facts = {
        "request_id": context.request_id,
        "method": scope["method"],
        "path": _path_of(scope["path"]),
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "principal": _named(context.principal) if context.principal is not None else None,
        "error_code": context.error_code,
    }
    _access.info(
        "%s %s %d %.1f ms %s",
        facts["method"],
        facts["path"],
        status,
        facts["duration_ms"],
        context.request_id,
        extra=facts,
    )
