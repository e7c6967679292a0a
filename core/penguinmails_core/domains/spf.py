"""SPF records (RFC 7208): reading, merging into one that is there, and counting the lookups that it costs."""

from __future__ import annotations

from dataclasses import dataclass, field

from penguinmails_core.kit.dns import DnsUnavailable, NameNotFound, Resolver

MOST_LOOKUPS = 10  # RFC 7208 §4.6.4: more is a permanent error
MOST_VOID = 2  # ibid.: lookups that find nothing
_STOP = 3 * MOST_LOOKUPS  # what goes beyond is counted no further
_COSTLY = ("include", "a", "mx", "ptr", "exists", "redirect")


def is_spf(text: str) -> bool:
    """RFC 7208 §4.5: the version is followed by a space or by nothing."""
    words = text.split(" ", 1)
    return words[0].lower() == "v=spf1"


def terms(record: str) -> list[str]:
    return record.split()[1:]


def missing(record: str, wanted: str) -> list[str]:
    """Mechanisms of `wanted` that `record` does not name; case and a leading ``+`` do not matter."""
    there = {_plain(term) for term in terms(record)}
    return [term for term in wanted.split() if _plain(term) not in there]


def merged(record: str, wanted: str) -> str:
    """`record` with what it lacks of `wanted`, put before the first `all` (what follows it is never read) or before
    `redirect`. Nothing that is there is taken away."""
    new, old = missing(record, wanted), terms(record)
    place = next((index for index, term in enumerate(old) if term.lower().lstrip("+-~?") == "all"), None)
    if place is None:
        place = next((index for index, term in enumerate(old) if term.lower().startswith("redirect=")), len(old))
    return " ".join(["v=spf1", *old[:place], *new, *old[place:]])


def _plain(term: str) -> str:
    return term.lower().removeprefix("+")


@dataclass(slots=True)
class Cost:
    """Of evaluating a record to its end. `broken`: names of includes that hold no SPF record, several, or themselves.
    `complete` is False when DNS did not answer on the way."""

    lookups: int = 0
    void: int = 0
    complete: bool = True
    broken: list[str] = field(default_factory=list)

    @property
    def too_much(self) -> bool:
        return self.lookups > MOST_LOOKUPS or self.void > MOST_VOID


async def cost(resolver: Resolver, domain: str, record: str) -> Cost:
    """Counted statically: every mechanism is followed, whichever might match first, since one sender's mail passes at
    the first include and another's at the last."""
    found = Cost()
    await _follow(resolver, domain, record, found, (domain,))
    return found


async def _follow(resolver: Resolver, domain: str, record: str, found: Cost, path: tuple[str, ...]) -> None:
    ended = any(term.lower().lstrip("+-~?") == "all" for term in terms(record))  # then `redirect` is void (§6.1)
    for term in terms(record):
        if found.lookups >= _STOP:
            return
        name, value = _parts(term)
        if name not in _COSTLY or (name == "redirect" and ended):
            continue
        found.lookups += 1
        target = value.rstrip(".").lower() or domain
        if "%" in target or name in ("ptr", "exists"):  # a macro is known at the time of the mail only
            continue
        if name in ("include", "redirect"):
            await _include(resolver, target, found, path)
        else:
            await _addresses(resolver, name, target, found)


async def _include(resolver: Resolver, target: str, found: Cost, path: tuple[str, ...]) -> None:
    if target in path:
        found.broken.append(target)
        return
    try:
        records = [text.decode("utf-8", "replace") for text in await resolver.txt(target)]
    except NameNotFound:
        records = []
    except DnsUnavailable:
        found.complete = False
        return
    if not records:
        found.void += 1
    records = [text for text in records if is_spf(text)]
    if len(records) == 1:
        await _follow(resolver, target, records[0], found, (*path, target))
    else:
        found.broken.append(target)


async def _addresses(resolver: Resolver, name: str, target: str, found: Cost) -> None:
    try:
        there = await resolver.mx(target) if name == "mx" else await resolver.addresses(target)
    except NameNotFound:
        there = []
    except DnsUnavailable:
        found.complete = False
        return
    if not there:
        found.void += 1


def _parts(term: str) -> tuple[str, str]:
    """(``include``, ``example.net``); of ``a/24`` and ``mx:example.net//64`` without the lengths."""
    text = term.lstrip("+-~?")
    for index, character in enumerate(text):
        if character in ":=/":
            name, rest = text[:index].lower(), text[index + 1 :]
            return name, "" if character == "/" else rest.split("/", 1)[0]
    return text.lower(), ""
