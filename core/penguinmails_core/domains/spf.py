"""SPF records (RFC 7208): what one costs to evaluate, and how our mechanisms join one that is there already."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from penguinmails_core.kit.dns import DnsUnavailable, NameNotFound, Resolver

MAX_LOOKUPS = 10  # RFC 7208 §4.6.4: receivers answer `permerror` beyond it, and mail is as good as unsigned
MAX_VOID = 2  # lookups without an answer, same section
_STOP = 20  # nobody needs to know how far beyond
_TERM = re.compile(r"^[+?~-]?(include|a|mx|ptr|exists)(?:[:/](.*))?$", re.IGNORECASE)


@dataclass(slots=True)
class SpfCost:
    """`lookups` and `void` as a receiver would count them when nothing matched. `broken`: names of includes that hold
    no SPF record. `unknown`: DNS did not answer somewhere, so the true numbers may be higher."""

    lookups: int = 0
    void: int = 0
    broken: list[str] = field(default_factory=list)
    unknown: bool = False


def is_spf(text: str) -> bool:
    """RFC 7208 §4.5: the version, then a blank or the end."""
    return re.match(r"v=spf1( |$)", text, re.IGNORECASE) is not None


def mechanisms_of(text: str) -> list[str]:
    """The terms after the version, lower-cased, without a leading `+`."""
    return [term.lower().removeprefix("+") for term in text.split()[1:]]


def missing(text: str, wanted: str) -> list[str]:
    """Those of the `wanted` mechanisms that the record does not name."""
    present = mechanisms_of(text)
    return [term for term in wanted.lower().split() if term not in present]


def merge(text: str, wanted: str) -> str:
    """The record with the `wanted` mechanisms that it lacks, before whatever ends it (`all` or `redirect=`)."""
    version, *terms = text.split()
    lacking = missing(text, wanted)
    ends = re.compile(r"^([+?~-]?all|redirect=.*)$", re.IGNORECASE)
    at = next((index for index, term in enumerate(terms) if ends.match(term)), len(terms))
    return " ".join([version, *terms[:at], *lacking, *terms[at:]])


async def cost(resolver: Resolver, text: str) -> SpfCost:
    """Follows includes and redirects. Counts every term, as if none matched: that is the worst case, and the one of
    mail from elsewhere."""
    found = SpfCost()
    await _walk(resolver, text, found, frozenset())
    return found


async def _walk(resolver: Resolver, text: str, found: SpfCost, above: frozenset[str]) -> None:
    terms = text.split()[1:]
    ended = any(re.match(r"^[+?~-]?all$", term, re.IGNORECASE) for term in terms)
    for term in terms:
        if found.lookups >= _STOP:
            return
        if match := _TERM.match(term):
            found.lookups += 1
            if match[1].lower() == "include" and match[2]:
                await _follow(resolver, match[2], found, above)
        elif term.lower().startswith("redirect=") and not ended:  # RFC 7208 §6.1: `all` makes it void
            found.lookups += 1
            await _follow(resolver, term.partition("=")[2], found, above)


async def _follow(resolver: Resolver, name: str, found: SpfCost, above: frozenset[str]) -> None:
    name = name.lower().rstrip(".")
    if "%" in name:  # a macro: only a receiver knows what it stands for
        return
    if name in above:
        found.broken.append(name)
        return
    try:
        texts = [value.decode("latin-1") for value in await resolver.txt(name)]
    except NameNotFound:
        texts = []
    except DnsUnavailable:
        found.unknown = True
        return
    if not texts:
        found.void += 1
    records = [text for text in texts if is_spf(text)]
    if len(records) != 1:
        found.broken.append(name)
        return
    await _walk(resolver, records[0], found, above | {name})
