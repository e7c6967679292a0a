"""List servers that refuse what strangers write (fml, Mailman, ezmlm): the list is there, the sender may not post."""

from __future__ import annotations

import re

from penguinmails_sender.bounces import notice
from penguinmails_sender.bounces.findings import Said
from penguinmails_sender.bounces.reading import Mail

_REFUSED = re.compile(
    r"(are|is) not (a )?(member|subscriber)|not allowed to post|only (members|subscribers) (can"
    r"|may) post|posting .{0,30}(not allowed|restricted)",
    re.IGNORECASE,
)


def speaks(mail: Mail) -> bool:
    by_list = (
        bool(mail.header("Mailing-List") or mail.header("List-Id") or mail.header("X-ML-Name"))
        or "-admin@" in mail.sender
    )
    return by_list and bool(_REFUSED.search(f"{mail.subject}\n{mail.notice}"))


def read(mail: Mail, found: list[Said]) -> list[Said]:
    addresses = [match[0] for match in notice.ADDRESS.finditer(mail.notice)]
    said = _REFUSED.search(f"{mail.subject}\n{mail.notice}")
    words = said[0] if said else ""
    return found or [Said(address, f"sender not allowed: {words}") for address in addresses[:1]]
