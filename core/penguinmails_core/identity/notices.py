"""Our own mail to people, sent beside the request that caused it: how long an answer takes must not tell whether a
message was written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from penguinmails_core.errors import Problem, RateLimited
from penguinmails_core.identity import mails
from penguinmails_core.identity.mails import Mail
from penguinmails_core.kit import dry_run
from penguinmails_core.system_mail.budget import MailBudget
from penguinmails_core.system_mail.service import SystemMail

log = logging.getLogger(__name__)

Charge = Callable[[str], Awaitable[float]]
"""``await charge(address)``: seconds to wait, 0 when a message may go."""


class Notices:
    def __init__(self, mail: SystemMail, budget: MailBudget) -> None:
        self._mail = mail
        self._budget = budget
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def enabled(self) -> bool:
        return self._mail.enabled

    async def admit(self, to: str, organization_id: UUID) -> None:
        """Before an organization's message to somebody is written down (and `post`ed with `charged`): takes from both
        budgets. Raises `RateLimited` with Retry-After. A rehearsal takes nothing."""
        wait = 0.0 if dry_run.active() else await self._budget.asked(to, organization_id)
        if wait > 0:
            seconds = int(wait) + 1
            raise RateLimited(
                f"This server has mailed this address, or mailed for this organization, as often as it may for now. "
                f"Try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
                extra={"violated_policies": ["system-mail"]},
            )

    def post(self, to: str, mail: Mail, *, charged: bool = False) -> None:
        """What somebody asked for. Never waits and never fails; without a configured sender, and to an address that
        had its share, nothing is sent."""
        self._start(to, mail, None if charged else self._budget.asked)

    def send(self, to: str, what: str) -> None:
        """A security notice: ``send("ada@example.com", "a passkey was added")``."""
        self._start(to, mails.notice(what), self._budget.notice)

    async def drain(self) -> None:
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    def _start(self, to: str, mail: Mail, charge: Charge | None) -> None:
        if not self._mail.enabled:
            return
        task = asyncio.get_running_loop().create_task(self._send(to, mail, charge), name="system mail")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, to: str, mail: Mail, charge: Charge | None) -> None:
        try:
            if charge is not None and await charge(to) > 0:
                log.warning("a system message (%s) was not sent: its address had as many as it may get", mail.subject)
                return
            await self._mail.send(to, mail.subject, text=mail.text, html=mail.html)
        except (Problem, OSError) as error:
            log.error("a system message (%s) was not sent: %s", mail.subject, error)
