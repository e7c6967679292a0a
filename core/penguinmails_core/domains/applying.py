"""Put a domain's records into its zone at whoever serves it: first the changes are shown, then those are made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from penguinmails_core.domains.changes import Action, Change, Existing, name_of, plan_of
from penguinmails_core.domains.dns_records import Publisher
from penguinmails_core.domains.hosts.base import DnsHost, DnsHostError, ZoneChanged
from penguinmails_core.domains.telling import DomainRecords, note
from penguinmails_core.errors import Conflict, FieldError, Unprocessable
from penguinmails_core.kit.dns import Resolver
from penguinmails_core.kit.http_dns import AddressCache
from penguinmails_core.kit.http_guard import OutgoingError, check_host
from penguinmails_core.principal import Principal


@dataclass(frozen=True, slots=True)
class Applied:
    """`plan` names the changes; `done` says whether they were made."""

    plan: str
    changes: Sequence[Change]
    done: bool


async def apply(domain: DomainRecords, host: DnsHost, plan: str | None, *, rehearse: bool = False) -> Applied:
    """Without `plan` only shows. No transaction may be open: the host is asked.

    Raises `Conflict` when the changes are not those that `plan` names, `Unprocessable` when the host fails.
    """
    names = [record.name.lower() for record in domain.records if record.publisher is Publisher.DOMAIN]
    try:
        changes = plan_of(domain, _by_name(await host.read(names)))
        found = name_of(changes)
        to_make = [change for change in changes if change.action is not Action.CONFLICT]
        if plan is None or (rehearse and plan == found):
            return Applied(found, changes, False)
        if not to_make:  # also when the same request comes again
            return Applied(found, changes, True)
        if plan != found:
            raise Conflict("The changes are not those that you have seen. Look at them again, then send their `plan`.")
        await host.write(to_make)
    except ZoneChanged as error:
        raise Conflict(str(error)) from None
    except DnsHostError as error:
        raise Unprocessable(str(error), errors=[FieldError("", "dns_host_failed", str(error))]) from None
    return Applied(found, changes, True)


async def tell_applied(session: AsyncSession, principal: Principal, domain: DomainRecords, applied: Applied) -> None:
    """In the audit log: which records were written; never by which secret."""
    made = [f"{one.action} {one.type} {one.name}" for one in applied.changes if one.action is not Action.CONFLICT]
    if applied.done and made:
        await note(session, principal, domain.row, "dns_applied", None, {"changes": made})


async def address_of(resolver: Resolver, server: str, *, allow_private: bool) -> str:
    """The checked address of a name server. Raises `Unprocessable` for what must not be called."""
    cache = AddressCache(resolver, allow_private=allow_private)
    try:
        host, literal = check_host(server, allow_private=allow_private)
        return host.strip("[]") if literal else (await cache.resolve(host))[0]
    except OutgoingError as error:
        detail = f"`server`: {error.detail}."
        raise Unprocessable(detail, errors=[FieldError("/rfc2136/server", error.reason, detail)]) from None
    finally:
        await cache.close()


def _by_name(records: Sequence[Existing]) -> dict[str, list[Existing]]:
    found: dict[str, list[Existing]] = defaultdict(list)
    for record in records:
        found[record.name].append(record)
    return found
