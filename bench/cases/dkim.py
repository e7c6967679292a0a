"""`dkim`: signatures over whole messages, against what the same processor can do with the bare private key."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from datetime import UTC, datetime

from bench.report import Result, median
from bench.world import HTML, TEXT, World
from penguinmails_sender.dkim import DkimKey, sign
from penguinmails_sender.message import Mailbox, OutgoingMessage
from penguinmails_sender.mime import build

_SPEED = re.compile(r"^rsa\s+2048 bits(?:\s+[\d.]+s){2,}\s+([\d.]+)", re.MULTILINE)


async def dkim(world: World, rounds: int, seconds: float) -> list[Result]:
    """One core each: ours signs messages of about 1 KB (canonical form, two hashes, RSA-2048, header), `openssl speed`
    the same 36 octets again and again."""
    key = DkimKey.generate("rsa", selector="s1", domain="acme.test")
    messages = [_message(number) for number in range(200)]
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(-1, rounds):
        span = seconds if number >= 0 else 1.0
        mine = _sign_for(messages, key, span)
        other = await _openssl(max(1, round(span)))
        if number >= 0:
            ours.append(mine)
            theirs.append(other)
    a, b = median(ours), median(theirs)
    return [Result("dkim", a / b, 0.85, 0.95, f"{a:.0f} messages/s", f"{b:.0f} signatures/s openssl speed rsa2048")]


def _message(number: int) -> bytes:
    return build(
        OutgoingMessage(
            message_id=f"m{number}@acme.test",
            date=datetime.now(UTC),
            from_=Mailbox("hello@acme.test", "Penguin"),
            to=(Mailbox(f"ada-{number}@example.com", "Ada"),),
            subject=f"Invoice {number}",
            text=TEXT,
            html=HTML,
            headers=(
                ("List-Unsubscribe", f"<https://u.acme.test/{number}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ),
        )
    )


def _sign_for(messages: list[bytes], key: DkimKey, seconds: float) -> float:
    """Messages a second of processor time."""
    keys = [key]
    count = 0
    started = time.process_time()
    while (spent := time.process_time() - started) < seconds:
        for message in messages:
            sign(message, keys)
        count += len(messages)
    return count / spent


async def _openssl(seconds: int) -> float:
    """`openssl speed` counts processor time too."""
    program = shutil.which("openssl")
    if program is None:
        raise RuntimeError("openssl is not installed (apt-get install openssl)")
    process = await asyncio.create_subprocess_exec(
        program,
        *("speed", "-seconds", str(seconds), "rsa2048"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    found = _SPEED.search(out.decode())
    if found is None:
        raise RuntimeError(f"openssl speed said: {(out + error).decode()[-500:]}")
    return float(found[1])
