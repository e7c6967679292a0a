"""Short texts that people write: names, notes, time zones."""

from __future__ import annotations

import zoneinfo
from functools import cache

from penguinmails_core.errors import FieldError


def text_errors(pointer: str, value: str, *, most: int, least: int = 1, lines: bool = False) -> list[FieldError]:
    """What is wrong with a text of `least` to `most` characters; spaces at both ends do not count. With `lines`, line
    breaks and tabs are allowed."""
    field = pointer.rpartition("/")[2]
    kept = value.strip()
    if not least <= len(kept) <= most:
        return [FieldError(pointer, "invalid_length", f"`{field}` must have {least} to {most} characters.")]
    shown = kept.translate({ord(character): " " for character in "\r\n\t"}) if lines else kept
    if not shown.isprintable():
        return [FieldError(pointer, "control_character", f"Remove characters from `{field}` that cannot be shown.")]
    return []


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def timezone_errors(pointer: str, value: str) -> list[FieldError]:
    """Names of the IANA time zone database, such as ``Europe/Berlin``."""
    if value in _zones():
        return []
    detail = f"`{pointer.rpartition('/')[2]}` must be a name of the IANA time zone database, such as Europe/Berlin."
    return [FieldError(pointer, "unknown_timezone", detail)]
