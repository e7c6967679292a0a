"""Limits of a credential on what it may send: checked for every message, so they are sets that were made beforehand.

A credential without such limits carries None instead, and pays nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.errors import ConstraintViolated, FieldError
from penguinmails_core.kit.addresses import Mailbox, canonical

SHOWN = 20  # entries of a list that an error repeats


@dataclass(frozen=True, slots=True)
class SendCap:
    """At most `limit` recipients a UTC day, counted for `key_id`."""

    key_id: UUID
    limit: int


@dataclass(frozen=True, slots=True)
class SendConstraints:
    """`mailboxes`: canonical addresses that may stand in From; `domains`: A-labels of their domains; None: any.
    `caps`: every one of them counts each send; a derived key counts for its ancestors too."""

    mailboxes: frozenset[str] | None = None
    domains: frozenset[str] | None = None
    caps: tuple[SendCap, ...] = ()

    def check_sender(self, sender: Mailbox, pointer: str) -> None:
        """Raises `ConstraintViolated` naming the limit; `pointer` leads to the sender in the request."""
        self._check(sender.domain, sender.canonical, sender.address, pointer)

    def check_address(self, address: str, pointer: str = "") -> None:
        """As `check_sender`, for the address of a stored message."""
        self._check(address.rpartition("@")[2], canonical(address), address, pointer)

    def _check(self, domain: str, key: str, address: str, pointer: str) -> None:
        if self.domains is not None and domain not in self.domains:
            raise _violated("allowed_domains", domain, self.domains, pointer)
        if self.mailboxes is not None and key not in self.mailboxes:
            raise _violated("allowed_mailboxes", address, self.mailboxes, pointer)


def _violated(constraint: str, value: str, allowed: frozenset[str], pointer: str) -> ConstraintViolated:
    shown = sorted(allowed)[:SHOWN]
    more = f" and {len(allowed) - SHOWN} more" if len(allowed) > SHOWN else ""
    detail = f"This API key may not send from {value}; its {constraint} are {', '.join(shown) or 'none'}{more}."
    return ConstraintViolated(
        detail,
        errors=[FieldError(pointer, "constraint_violated", detail)] if pointer else (),
        extra={"constraint": constraint, "value": value, "limit": shown},
    )
