"""Zoho Mail: one line for each recipient, `address cause, ERROR_CODE :code, ERROR_CODE :answer`."""

from __future__ import annotations

import re

from penguinmails_sender.bounces import notice
from penguinmails_sender.bounces.findings import Said
from penguinmails_sender.bounces.reading import Mail

_LINE = re.compile(rf"^[ \t]*<?(?P<address>{notice.ADDRESS.pattern})>?[ \t]+(?P<words>.*ERROR_CODE.*)$", re.MULTILINE)


def speaks(mail: Mail) -> bool:
    return "ERROR_CODE" in mail.notice


def read(mail: Mail, found: list[Said]) -> list[Said]:
    lines = _LINE.finditer(mail.notice)
    return [Said(line["address"], re.sub(r",?\s*ERROR_CODE\s*:", " ", line["words"])) for line in lines] or found
