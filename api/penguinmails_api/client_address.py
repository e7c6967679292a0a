"""Where a request comes from, behind proxies that are trusted to say so."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, MutableMapping
from typing import Any


class ClientAddresses:
    """`trusted_proxies`: networks whose X-Forwarded-For is believed. Raises ValueError for what is not a network."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._proxies = [ipaddress.ip_network(network) for network in trusted_proxies]

    def of(self, scope: MutableMapping[str, Any]) -> str:
        """The peer, or what a trusted proxy says in X-Forwarded-For: its last entry that is not a proxy itself. Empty
        when the server does not know (a Unix socket)."""
        peer: str = scope["client"][0] if scope.get("client") else ""
        if not self._proxies or not self._is_proxy(peer):
            return peer
        forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        for entry in reversed(forwarded.decode("latin-1").split(",")):
            address = entry.strip()
            if not self._is_proxy(address):
                return address
        return peer

    def _is_proxy(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._proxies)
