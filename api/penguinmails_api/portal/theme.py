"""The look that a link asks for, kept readable: its colour is moved until text in it has enough contrast (WCAG 2.2 AA,
1.4.3)."""

from __future__ import annotations

import re
from functools import lru_cache

DEFAULT_ACCENT = "1d4ed8"
CONTRAST = 4.6  # a little above the 4.5 that is asked for
_HEX = re.compile(r"[0-9a-f]{6}")
_LIGHT_GROUND, _DARK_GROUND = (0xF3, 0xF4, 0xF8), (0x22, 0x2B, 0x3F)  # the least favourable grounds of the sheet
_WHITE, _INK = (255, 255, 255), (0x0B, 0x11, 0x20)

Color = tuple[int, int, int]


def is_color(text: str) -> bool:
    """Six digits, as in the path of the style sheet."""
    return _HEX.fullmatch(text) is not None


@lru_cache(maxsize=512)
def style_sheet(accent: str) -> str:
    """The variables of one accent colour (`rrggbb`), for light and dark."""
    color: Color = (int(accent[:2], 16), int(accent[2:4], 16), int(accent[4:], 16))
    light = _readable(color, _LIGHT_GROUND, _INK)
    dark = _readable(color, _DARK_GROUND, _WHITE)
    return (
        f":root{_scheme(light)}"
        f'@media (prefers-color-scheme: dark){{:root:not([data-scheme="light"]){_scheme(dark)}}}'
        f':root[data-scheme="dark"]{_scheme(dark)}'
    )


def _scheme(color: Color) -> str:
    text = _WHITE if contrast(color, _WHITE) >= CONTRAST else _INK
    hover = _mix(color, _INK if text == _WHITE else _WHITE, 0.15)
    return f"{{--accent:{_hex(color)};--accent-hover:{_hex(hover)};--accent-text:{_hex(text)};--ring:{_hex(color)}}}"


def _readable(color: Color, ground: Color, towards: Color) -> Color:
    """The nearest mixture with `towards` that can be read on `ground`, and that text can be read on."""
    for step in range(101):
        mixed = _mix(color, towards, step / 100)
        on_it = max(contrast(mixed, _WHITE), contrast(mixed, _INK))
        if contrast(mixed, ground) >= CONTRAST and on_it >= CONTRAST:
            return mixed
    return towards


def contrast(one: Color, other: Color) -> float:
    """WCAG 2.2, contrast ratio."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    red, green, blue = (
        value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in color
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(color: Color, towards: Color, share: float) -> Color:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(color, towards, strict=True))
    return red, green, blue


def _hex(color: Color) -> str:
    return "#" + "".join(f"{value:02x}" for value in color)
