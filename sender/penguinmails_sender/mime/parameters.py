"""MIME parameters (RFC 2045 §5.1, RFC 2231): `; filename="a.pdf"`, or percent-encoded UTF-8 in continuations."""

from __future__ import annotations

import re

from penguinmails_sender.mime.errors import refuse_controls, utf8

_WIDTH = 76
# RFC 2231 §7: attribute-char
_KEPT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~")
_PERCENT = tuple(chr(byte) if byte in _KEPT else f"%{byte:02X}" for byte in range(256))
_QUOTABLE = re.compile(r"[!-~]+(?: [!-~]+)*").fullmatch


def parameter(name: str, value: str, field: str) -> str:
    """`;` CRLF SP `name="value"`, to be appended to a header. Raises MimeError naming `field`."""
    refuse_controls(value, field)
    utf8(value, field)
    if _QUOTABLE(value) is not None and "=?" not in value:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        if len(name) + len(escaped) + 5 <= _WIDTH:
            return f';\r\n {name}="{escaped}"'
    characters = ["".join([_PERCENT[byte] for byte in character.encode()]) for character in value]
    whole = "".join(characters)
    if len(name) + len(whole) + 11 <= _WIDTH:
        return f";\r\n {name}*=utf-8''{whole}"
    return _continued(name, characters)


def _continued(name: str, characters: list[str]) -> str:
    """Sections never split a character: some readers decode each section on its own."""
    lines: list[str] = []
    current: list[str] = []
    used = 0
    room = _WIDTH - len(name) - len(" *000*=utf-8'';")
    for piece in characters:
        if used + len(piece) > room:
            lines.append("".join(current))
            current, used = [], 0
        current.append(piece)
        used += len(piece)
    lines.append("".join(current))
    lines[0] = "utf-8''" + lines[0]
    return "".join(f";\r\n {name}*{index}*={section}" for index, section in enumerate(lines))
