"""Our own mail to people, sent beside the request that caused it: how long an answer takes must not tell whether a
message was written."""

from __future__ import annotations

import asyncio
import logging

from penguinmails_core.errors import Problem
from penguinmails_core.identity import mails
from penguinmails_core.identity.mails import Mail
from penguinmails_core.system_mail.service import SystemMail

log = logging.getLogger(__name__)


class Notices:
    def __init__(self, mail: SystemMail) -> None:
        self._mail = mail
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def enabled(self) -> bool:
        return self._mail.enabled

    def post(self, to: str, mail: Mail) -> None:
        """Never waits and never fails; without a configured sender nothing is sent."""
        if not self._mail.enabled:
            return
        task = asyncio.get_running_loop().create_task(self._send(to, mail), name="system mail")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def send(self, to: str, what: str) -> None:
        """A security notice: ``send("ada@example.com", "a passkey was added")``."""
        self.post(to, mails.notice(what))

    async def drain(self) -> None:
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def _send(self, to: str, mail: Mail) -> None:
        try:
            await self._mail.send(to, mail.subject, text=mail.text, html=mail.html)
        except (Problem, OSError) as error:
            log.error("a system message (%s) was not sent: %s", mail.subject, error)
