"""SpamAssassin by its own protocol (SPAMC 1.5): which of its rules a message meets, each with score and description.

What a rule says of the way a message came is left out, since a message that is only checked came no way at all.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

_STATUS = re.compile(rb"SPAMD/[\d.]+ (\d+) (\S+)")
_SPAM = re.compile(rb"^Spam:\s*(?:True|Yes|False|No)\s*;\s*(-?[\d.]+)\s*/\s*(-?[\d.]+)", re.IGNORECASE | re.MULTILINE)
_RULE = re.compile(r"^ {0,3}(-?\d{1,5}(?:\.\d+)?)\s+([A-Z][A-Z0-9_]+)\s*(.*)$")
MAX_REPORT = 256 * 1024
# Of relays and of headers that a real sending adds.
_OF_THE_WAY = re.compile(
    r"ALL_TRUSTED|NO_RELAYS|NO_RECEIVED|UNPARSEABLE_RELAY|MISSING_(?!SUBJECT).*|RCVD_.*|SPF_.*|DKIM_.*|T_SPF_.*|HELO_.*|"
    r"RDNS_.*|DMARC_.*|.*_NO_RELAY"
)


class SpamdError(Exception):
    """spamd could not be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class SpamRule:
    """`counted` is False for what says nothing of the content."""

    name: str
    score: float
    description: str
    counted: bool


@dataclass(frozen=True, slots=True)
class SpamReport:
    """`score` is the sum of the counted rules; from `threshold` on SpamAssassin calls a message spam."""

    score: float
    threshold: float
    rules: tuple[SpamRule, ...]


class Spamd:
    """`address` is host:port. Few at a time: a message takes one of its processes for half a second."""

    def __init__(self, address: str, *, seconds: float = 20.0, at_once: int = 2) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._seconds = seconds
        self._slots = asyncio.Semaphore(at_once)

    async def report(self, message: bytes) -> SpamReport:
        """Raises `SpamdError`."""
        async with self._slots:
            try:
                async with asyncio.timeout(self._seconds):
                    return parse(await self._ask(message))
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                raise SpamdError(f"spamd did not answer ({type(error).__name__})") from None

    async def _ask(self, message: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(b"REPORT SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(message) + message)
            writer.write_eof()
            await writer.drain()
            answer = b""
            while len(answer) <= MAX_REPORT and (more := await reader.read(65536)):
                answer += more
            return answer
        finally:
            writer.close()


def parse(answer: bytes) -> SpamReport:
    """Raises `SpamdError` for what is no report."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, spam = _STATUS.match(head), _SPAM.search(head)
    if status is None or spam is None or status[1] != b"0":
        raise SpamdError("spamd refused: " + head[:100].decode("ascii", "replace").split("\r\n")[0])
    rules = _rules(body.decode("utf-8", "replace"))
    score = round(sum(rule.score for rule in rules if rule.counted), 1)
    return SpamReport(score, float(spam[2]), rules)


def _rules(report: str) -> tuple[SpamRule, ...]:
    """The table at the end; a description may go on in lines that are indented."""
    found: list[tuple[str, float, list[str]]] = []
    _, _, table = report.partition("\n---- ")
    for line in table.splitlines()[1:]:
        if match := _RULE.match(line):
            found.append((match[2], float(match[1]), [match[3].strip()]))
        elif found and line.startswith("   ") and line.strip():
            found[-1][2].append(line.strip())
        elif found:
            break
    return tuple(
        SpamRule(name, score, " ".join(texts), _OF_THE_WAY.fullmatch(name) is None) for name, score, texts in found
    )
