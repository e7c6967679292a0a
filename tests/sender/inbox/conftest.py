"""A running inbox (SMTP and HTTP on free ports) and ways to send to it."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage

import aiohttp
import pytest

from penguinmails_sender.inbox.server import CaptureInbox
from penguinmails_sender.inbox.store import CapturedMessage
from tests.sender.inbox.samples import FROM, TO, raw, rsa_key, rsa_record

Send = Callable[..., Awaitable[CapturedMessage]]


async def acme_keys(name: str) -> list[bytes]:
    return [rsa_record(rsa_key())] if name == "s1._domainkey.acme.test" else []


@pytest.fixture
async def inbox() -> AsyncIterator[CaptureInbox]:
    async with CaptureInbox(txt_lookup=acme_keys, title="Test inbox", api_url="http://127.0.0.1:1") as running:
        yield running


@pytest.fixture
def send(inbox: CaptureInbox) -> Send:
    """``await send(mail)``: over real SMTP; returns what was kept."""

    async def over_smtp(mail: EmailMessage | bytes, sender: str = FROM, to: str = TO) -> CapturedMessage:
        data = mail if isinstance(mail, bytes) else raw(mail)

        def talk() -> None:
            with smtplib.SMTP(inbox.host, inbox.smtp_port) as smtp:
                smtp.sendmail(sender, [to], data)

        await asyncio.to_thread(talk)
        return next(inbox.store.newest_first())

    return over_smtp


@pytest.fixture
async def http(inbox: CaptureInbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(inbox.url) as session:
        yield session
