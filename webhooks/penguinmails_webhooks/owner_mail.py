"""Tells the owners of an organization by mail when one of its endpoints was disabled, and when it is well again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from penguinmails_core.errors import Problem, Unavailable
from penguinmails_core.identity.mails import Mail, compose
from penguinmails_core.kit.db import Pool
from penguinmails_core.kit.http import display_url
from penguinmails_core.kit.ids import Prefix, encode
from penguinmails_core.system_mail.service import SystemMail
from penguinmails_webhooks import owner_mail_repository as repository

log = logging.getLogger(__name__)

_EVERY = 10.0  # seconds


class OwnerMail:
    """`run` until cancelled. Any number of processes may: what is told is claimed."""

    def __init__(self, pool: Pool, mail: SystemMail, probe_days: int) -> None:
        self._pool = pool
        self._mail = mail
        self._probe_days = probe_days

    async def run(self) -> None:
        while True:
            try:
                while await self.round():
                    pass
            except Exception as error:
                log.warning("mail about webhook endpoints waits: %s", type(error).__name__)
            await asyncio.sleep(_EVERY)

    async def round(self) -> int:
        """Tell the owners of up to ten endpoints; returns how many endpoints there were. Without a configured sender
        nobody is told, and nobody will be later. When the database refuses the mail, it is told of next time: an owner
        may read the same twice."""
        async with self._pool.acquire() as connection, connection.transaction():
            notices = await repository.take(connection)
            for notice in notices if self._mail.enabled else ():
                await self._tell(notice)
        return len(notices)

    async def _tell(self, notice: Any) -> None:
        mail = disabled(notice, self._probe_days) if notice["notice"] == "disabled" else enabled(notice)
        for address in notice["owners"]:
            try:
                await self._mail.send(address, mail.subject, text=mail.text, html=mail.html)
            except Unavailable:
                raise
            except Problem as error:  # such as an address that takes no mail
                log.error("an owner was not told of webhook endpoint %s: %s", notice["endpoint_id"], error)


def disabled(notice: Any, probe_days: int) -> Mail:
    where, path = _where(notice), f"/v1/webhook_endpoints/{encode(Prefix.WEBHOOK_ENDPOINT, notice['endpoint_id'])}"
    if notice["disabled_reason"] == "gone":
        why = "It answered 410 Gone, which says that it wants no more events."
        then = "It stays disabled until somebody enables it."
    else:
        since = f"{notice['failing_since']:%d %B %Y, %H:%M} UTC" if notice["failing_since"] else "five days ago"
        why = f"Every request to it has failed since {since}."
        then = (
            f"We try it again by ourselves, ever more rarely, for {probe_days} days, and enable it when it answers 2xx."
            if probe_days
            else "It stays disabled until somebody enables it."
        )
    return compose(
        f"Webhook endpoint disabled: {display_url(notice['url'])}",
        [
            f"{where} gets no more events. {why}",
            f'{then} You can enable it at any time: PATCH {path} with {{"status": "enabled"}}.',
            "What it has missed is kept for 30 days and can be replayed.",
        ],
    )


def enabled(notice: Any) -> Mail:
    return compose(
        f"Webhook endpoint enabled again: {display_url(notice['url'])}",
        [
            f"{_where(notice)} answers again and gets events from now on.",
            "What happened while it was disabled was not sent. It is kept for 30 days and can be replayed.",
        ],
    )


def _where(notice: Any) -> str:
    mode = " in test mode" if notice["mode"] == "test" else ""
    return f"The webhook endpoint {display_url(notice['url'])} of {notice['organization']}{mode}"
