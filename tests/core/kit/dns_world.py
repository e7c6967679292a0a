"""A small DNS server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from penguinmails_core.kit.dns import SystemResolver

Records = Mapping[tuple[str, str], Sequence[str]]
SILENT = "(silence)"


class Zone(asyncio.DatagramProtocol):
    """Answers from `records`, by (name with final dot, type) and with a TTL of 60 s; SERVFAIL for broken.test, nothing
    at all for silent.test and for records that are SILENT, NXDOMAIN for the rest."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # the selector loop's own class is not one

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        name = query.question[0].name.to_text().lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        if name == "silent.test." or SILENT in self.records.get((name, kind), ()):
            return
        if name == "broken.test.":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        for target in self.records.get((name, "CNAME"), []):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", target))
            name = target
        if records := self.records.get((name, kind)):
            answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", kind, list(records)))
        self.transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def dns_server(records: Records) -> AsyncIterator[SystemResolver]:
    """A resolver that asks a server of its own."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Zone(records), local_addr=("127.0.0.1", 0)
    )
    try:
        yield SystemResolver(["127.0.0.1"], port=transport.get_extra_info("sockname")[1], timeout=1.0)
    finally:
        transport.close()
        await asyncio.sleep(0)
