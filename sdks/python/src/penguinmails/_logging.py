"""The logger `penguinmails`. `PENGUINMAILS_LOG=debug` (or info, warning) shows it on standard error.

Addresses are masked and keys, tokens and secrets cut out of every record, whoever handles it.
"""

from __future__ import annotations

import logging
import os
import re

logger = logging.getLogger("penguinmails")

_SECRET = re.compile(r"\b(pm_(?:live|test)_|whsec_)[A-Za-z0-9_+/=-]+|(\b[Bb]earer )[^\s'\"]+")
_ADDRESS = re.compile(r"([^\s<>\"'=&?/,;:@%])([^\s<>\"'=&?/,;:@]*)(@|%40)(?=[^\s@])")


def redact(text: str) -> str:
    """`ada@example.com` -> `a***@example.com`, `pm_live_abc` -> `pm_live_***`."""
    text = _SECRET.sub(lambda match: f"{match[1] or match[2]}***", text)
    return _ADDRESS.sub(r"\1***\3", text)


class _Redact(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


def setup() -> None:
    """Runs once, at import."""
    logger.addFilter(_Redact())
    level = logging.getLevelNamesMapping().get(os.environ.get("PENGUINMAILS_LOG", "").upper())
    if level:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(level)
