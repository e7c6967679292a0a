"""Mail systems whose reports are not read well by the standard or by the general reading of notices. One file each."""

from __future__ import annotations

from typing import Protocol

from penguinmails_sender.bounces.dialects import amazon_ses, mailing_lists, zoho
from penguinmails_sender.bounces.findings import Said
from penguinmails_sender.bounces.reading import Mail


class Dialect(Protocol):
    def speaks(self, mail: Mail) -> bool:
        """Whether this system wrote the mail."""
        ...

    def read(self, mail: Mail, found: list[Said]) -> list[Said]:
        """What it says. `found` is what its machine-readable part said; empty when there is none."""
        ...


DIALECTS: tuple[Dialect, ...] = (amazon_ses, mailing_lists, zoho)
