"""Where outgoing requests may go. Pure rules: no socket is opened here.

Anyone who can type a URL (a webhook endpoint, an import, a connector) could otherwise make the server call its own
network: databases, cloud metadata, neighbours. Ranges follow the IANA special-purpose address registries (RFC 6890)
and, for IPv6, only what is allocated as global unicast (2000::/3) is ever called.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar
from urllib.parse import quote

from yarl import URL

from penguinmails_core.kit.http_trace import Timings

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MAX_URL = 2048


class OutgoingError(Exception):
    """A request that got no answer. `reason` is one word for programs, `detail` a sentence for the URL's owner."""

    reason: ClassVar[str] = "error"
    timings: Timings | None = None  # how far it came, when it was begun
    remote_address: str | None = None  # who was connected to

    def __init__(self, detail: str) -> None:
        super().__init__(f"{self.reason}: {detail}")
        self.detail = detail


class InvalidUrl(OutgoingError):
    """The URL can never be called; nothing was sent."""

    reason = "invalid_url"


class InvalidRequest(OutgoingError):
    """A header that may not be sent; nothing was sent."""

    reason = "invalid_request"


class ForbiddenAddress(OutgoingError):
    """The host is, or resolves to, an address that must not be called; nothing was sent."""

    reason = "forbidden_address"


class DnsFailed(OutgoingError):
    reason = "dns"


class ConnectFailed(OutgoingError):
    reason = "connect"


class TlsFailed(OutgoingError):
    """No TLS, or a certificate that does not verify; the request was not sent."""

    reason = "tls"


class TimedOut(OutgoingError):
    """The whole exchange took too long; the request may have been received."""

    reason = "timeout"


class BrokenResponse(OutgoingError):
    """The connection ended early or what came back is not HTTP; the request may have been received."""

    reason = "protocol"


# Ports that browsers refuse for HTTP (WHATWG Fetch, "bad port"), and those of common databases and control planes:
# an HTTP request to one of them is a way to talk to another protocol, never a receiver.
# fmt: off
DENIED_PORTS = frozenset({
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530,
    531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2375,
    2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 5984, 6000, 6379, 6443, 6566, 6665,
    6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 9200, 9300, 10080, 10250, 10255, 11211, 27017,
})
# fmt: on


def _v4(*networks: str) -> tuple[ipaddress.IPv4Network, ...]:
    return tuple(ipaddress.IPv4Network(network) for network in networks)


def _v6(*networks: str) -> tuple[ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.IPv6Network(network) for network in networks)


LOOPBACK, PRIVATE = "a loopback address", "a private address"
_V4_KINDS = (
    (LOOPBACK, _v4("127.0.0.0/8")),
    (PRIVATE, _v4("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),  # the last: RFC 6598
    # 168.63.129.16 is the platform service of one large cloud, reachable from its machines only.
    ("a cloud metadata address", _v4("169.254.169.254/32", "168.63.129.16/32", "100.100.100.200/32")),
    ("a link-local address", _v4("169.254.0.0/16")),
    ("an unspecified address", _v4("0.0.0.0/8")),
    ("a multicast address", _v4("224.0.0.0/4")),
    (
        "a reserved address",
        _v4("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    ),
    ("a reserved address", _v4("240.0.0.0/4")),
)
_V6_KINDS = (
    (LOOPBACK, _v6("::1/128")),
    ("an unspecified address", _v6("::/128")),
    ("a cloud metadata address", _v6("fd00:ec2::254/128", "fd20:ce::254/128")),
    (PRIVATE, _v6("fc00::/7", "fec0::/10")),  # unique local (RFC 4193), site-local (RFC 3879)
    ("a link-local address", _v6("fe80::/10")),
    ("a multicast address", _v6("ff00::/8")),
    ("a 6to4 address", _v6("2002::/16")),
    ("a Teredo address", _v6("2001::/32")),
    ("a reserved address", _v6("2001::/23", "2001:db8::/32", "3fff::/20")),
)
_METADATA = "a cloud metadata address"
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is called
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def forbidden_kind(address: IPAddress) -> str | None:
    """What kind of address that must not be called from the outside this is, or None for a public one."""
    if isinstance(address, ipaddress.IPv4Address):
        kinds = [kind for kind, networks in _V4_KINDS if any(address in network for network in networks)]
        return _METADATA if _METADATA in kinds else next(iter(kinds), None)
    embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _MAPPED or address in _NAT64:
        return forbidden_kind(embedded)
    for kind, networks in _V6_KINDS:
        if any(address in network for network in networks):
            return kind
    if address not in _GLOBAL_V6:
        return "a reserved address"
    if int(address) >> 32 & 0xFDFFFFFF == 0x5EFE:  # ISATAP (RFC 5214 §6.1): delivered inside IPv4
        return forbidden_kind(embedded)
    return None


@lru_cache(maxsize=16384)
def _kind_of(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "not an IP address"
    return "an address with a zone" if getattr(address, "scope_id", None) else forbidden_kind(address)


def check_address(text: str, *, allow_private: bool) -> None:
    """Raises `ForbiddenAddress` (which does not repeat the address) unless `text` is an address that may be called.

    With `allow_private`, loopback and private networks may be called too; link-local, metadata, multicast, reserved
    and unspecified addresses never.
    """
    kind = _kind_of(text)
    if kind is not None and not (allow_private and kind in (LOOPBACK, PRIVATE)):
        raise ForbiddenAddress(f"the host is {kind}, which is not allowed; use a public one")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed. `url` is what to request; `literal` says that `host` is an IP address, already checked.

    As bytes of a request: `authority` is the value of Host, `path` what stands after the method. `origin` names whom a
    connection belongs to: scheme, host and port.
    """

    url: URL
    host: str
    port: int
    literal: bool
    tls: bool
    authority: str
    path: str
    origin: str


_SHAPE = re.compile(r"(https?)://([^/?#\\]*)([^#]*)(?:#.*)?\Z", re.IGNORECASE | re.DOTALL)
_UNUSABLE = re.compile(r"[\x00-\x20\x7f\\]|\s")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa", ".lan", ".intranet", ".corp", ".home")


@lru_cache(maxsize=4096)
def parse_url(url: str, *, allow_private: bool) -> Target:
    """The target of `url`. Raises `InvalidUrl` or `ForbiddenAddress`; names are not resolved here."""
    if len(url) > MAX_URL:
        raise InvalidUrl(f"a URL has at most {MAX_URL} characters, this one {len(url)}")
    if _UNUSABLE.search(url):
        raise InvalidUrl("a URL holds no spaces, control characters or backslashes; percent-encode them")
    shape = _SHAPE.match(url)
    if shape is None:
        raise InvalidUrl("a URL starts with https:// and a host")
    scheme, authority, rest = shape[1].lower(), shape[2], shape[3]
    if scheme == "http" and not allow_private:
        raise InvalidUrl("use https; plain http is not allowed here")
    if "@" in authority:
        raise InvalidUrl("a URL must not hold a user name or password")
    try:
        parsed = URL(f"{scheme}://{authority}")
        host, port = parsed.raw_host or "", parsed.port
    except (ValueError, UnicodeError):
        raise InvalidUrl("the host or the port of the URL cannot be read") from None
    if authority.startswith("[") != (":" in host):  # also `[v1.x]`, the "future" addresses of RFC 3986
        raise InvalidUrl("only an IPv6 address stands in brackets")
    if not port or port in DENIED_PORTS:
        raise InvalidUrl(f"port {port} is not for HTTP" if port else "a port is 1 to 65535")
    host, literal = _check_host(host.lower(), allow_private=allow_private)
    path, mark, query = rest.partition("?")
    target = URL.build(
        scheme=scheme,
        host=f"[{host}]" if ":" in host else host,
        port=None if parsed.is_default_port() else port,
        path=_encode(path) or "/",
        query_string=_encode(query) if mark else "",
        encoded=True,
    )
    return Target(
        target,
        host,
        port,
        literal,
        tls=scheme == "https",
        authority=target.raw_authority,
        path=target.raw_path_qs,
        origin=f"{scheme}://{host}|{port}",
    )


def check_url(url: str, *, allow_private: bool) -> None:
    """Says early whether `url` could be called: syntax, scheme, port, literal addresses, names that are never public.

    Raises `InvalidUrl` or `ForbiddenAddress`. What a name resolves to is checked whenever a connection is made.
    """
    parse_url(url, allow_private=allow_private)


def check_host(host: str, *, allow_private: bool) -> tuple[str, bool]:
    """(the host in lower case, whether it is an IP address), for protocols other than HTTP. Names are not resolved
    here. Raises `InvalidUrl` or `ForbiddenAddress`."""
    return _check_host(host.lower(), allow_private=allow_private)


def display_url(url: str) -> str:
    """The URL for people and logs: without query and fragment, where some receivers keep their secret."""
    return re.split(r"[?#]", url, maxsplit=1)[0]


def _encode(text: str) -> str:
    """Non-ASCII as UTF-8 percent-encoding; all else stays as it was typed, since receivers may sign their query."""
    return quote(text, safe="".join(map(chr, range(0x21, 0x7F))))


def _check_host(host: str, *, allow_private: bool) -> tuple[str, bool]:
    """(host to call, whether it is an IP address)."""
    if ":" in host:
        if "%" in host:
            raise InvalidUrl("an address with a zone is only meaningful on one machine; leave the zone out")
        try:
            host = ipaddress.IPv6Address(host).compressed
        except ValueError:
            raise InvalidUrl("what stands in brackets is not an IPv6 address") from None
        check_address(host, allow_private=allow_private)
        return host, True
    dotted = host.removesuffix(".")
    labels = dotted.split(".")
    if _NUMBER.match(labels[-1]):
        address = _ipv4(labels)
        check_address(str(address), allow_private=allow_private)
        if str(address) != host:
            raise InvalidUrl("write an IPv4 address as four decimal numbers: 203.0.113.7")
        return host, True
    if not _HOST_NAME.match(dotted):
        raise InvalidUrl("the host of the URL is not a domain name")
    if not allow_private and ("." not in dotted or dotted.endswith(_LOCAL_SUFFIXES)):
        raise ForbiddenAddress(f"{dotted} is a name for local use; use a public one")
    return dotted, False


def _ipv4(labels: list[str]) -> ipaddress.IPv4Address:
    """The address that old resolvers make of numbers: decimal, 0octal, 0xhex, fewer than four parts (inet_aton)."""
    try:
        numbers = [_number(label) for label in labels]
        head, last = numbers[:-1], numbers[-1]
        if len(numbers) > 4 or any(part > 255 for part in head) or last >= 256 ** (4 - len(head)):
            raise ValueError
    except ValueError:
        raise InvalidUrl("the host of the URL looks like an IPv4 address and is not one") from None
    value = last
    for position, part in enumerate(head):
        value |= part << 8 * (3 - position)
    return ipaddress.IPv4Address(value)


def _number(label: str) -> int:
    if len(label) > 16:
        raise ValueError
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if label.startswith("0") and label != "0" else int(label)
