"""Colours that links ask for can be read, whatever they are."""

from __future__ import annotations

import random
import re

import pytest

from penguinmails_api.portal import theme

# Grounds of the style sheet that accent-coloured text stands on.
LIGHT, DARK = ((255, 255, 255), (0xF6, 0xF7, 0xFA), (0xF3, 0xF4, 0xF8)), ((0x0D, 0x12, 0x20), (0x22, 0x2B, 0x3F))


def _color(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:], 16)


@pytest.mark.parametrize(
    "accent",
    ["ffffff", "000000", "ffff00", "00ff00", "808080", "1d4ed8"]
    + [f"{random.Random(seed).randrange(1 << 24):06x}" for seed in range(50)],
)
def test_text_has_contrast(accent: str) -> None:
    sheet = theme.style_sheet(accent)
    found = re.findall(r"--accent:(#\w{6});--accent-hover:#\w{6};--accent-text:(#\w{6})", sheet)
    assert len(found) == 3
    for (color, text), grounds in zip(found, (LIGHT, DARK, DARK), strict=True):
        assert theme.contrast(_color(color), _color(text)) >= 4.5
        for ground in grounds:
            assert theme.contrast(_color(color), ground) >= 4.5, (color, ground)


def test_contrast_is_that_of_wcag() -> None:
    assert theme.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert theme.contrast((0x77, 0x77, 0x77), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


def test_a_readable_color_stays_as_it_is() -> None:
    assert "--accent:#1d4ed8;" in theme.style_sheet("1d4ed8")
