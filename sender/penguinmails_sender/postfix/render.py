"""The configuration of a Postfix that takes our mail, delivers it, and sends its reports to our door.

One instance in one folder, apart from whatever Postfix the machine may have: `postfix -c FOLDER start`. It relays for
`networks` only, has no local users, and returns headers instead of whole messages.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# https://www.postfix.org/master.5.html: name, type, private, unpriv, chroot, wakeup, maxproc, command
_SERVICES = """
pickup     unix  n  -  n  60    1  pickup
cleanup    unix  n  -  n  -     0  cleanup
qmgr       unix  n  -  n  300   1  qmgr
tlsmgr     unix  -  -  n  1000? 1  tlsmgr
rewrite    unix  -  -  n  -     -  trivial-rewrite
bounce     unix  -  -  n  -     0  bounce
defer      unix  -  -  n  -     0  bounce
trace      unix  -  -  n  -     0  bounce
verify     unix  -  -  n  -     1  verify
flush      unix  n  -  n  1000? 0  flush
proxymap   unix  -  -  n  -     -  proxymap
proxywrite unix  -  -  n  -     1  proxymap
smtp       unix  -  -  n  -     -  smtp
relay      unix  -  -  n  -     -  smtp
reports    unix  -  -  n  -     4  smtp
showq      unix  n  -  n  -     -  showq
error      unix  -  -  n  -     -  error
retry      unix  -  -  n  -     -  error
discard    unix  -  -  n  -     -  discard
anvil      unix  -  -  n  -     1  anvil
scache     unix  -  -  n  -     1  scache
postlog    unix-dgram n - n  -     1  postlogd
"""
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?").fullmatch
_PARAMETER = re.compile(r"[a-z][a-z0-9_]*").fullmatch


class RenderError(ValueError):
    """The configuration would not be one; the message names the option."""


@dataclass(frozen=True, slots=True)
class Place:
    """Host (name or address) and port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """``127.0.0.1:2525``, ``[::1]:2525`` or ``relay.example.com:587``. Raises `RenderError`."""
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not port.isdecimal() or not 0 < int(port) < 65536 or not (_is_address(host) or _HOST(host)):
            raise RenderError(f"{text!r} is no host and port, such as 127.0.0.1:2525")
        return cls(host, int(port))

    @property
    def next_hop(self) -> str:
        """For Postfix, without a look at MX records."""
        host = f"ipv6:{self.host}" if ":" in self.host else self.host
        return f"[{host}]:{self.port}"

    @property
    def service(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Smarthost:
    """`listen`: where our sender hands mail over. `reports`: the door that mail to `return_path` goes to. `next_hop`:
    another relay for all else; None: the recipients' own servers. `networks` may relay. `settings`: more parameters of
    main.cf, over ours. `state`: where queue and log are, outside of the configuration. Raises `RenderError`."""

    hostname: str
    return_path: str
    listen: Place = Place("127.0.0.1", 2526)
    reports: Place = Place("127.0.0.1", 2525)
    next_hop: Place | None = None
    source_address: str | None = None
    networks: tuple[str, ...] = ("127.0.0.0/8", "[::1]/128")
    settings: Mapping[str, str] = field(default_factory=dict)
    state: Path = Path("/var/spool/penguinmails-postfix")

    def __post_init__(self) -> None:
        for what, name in (("hostname", self.hostname), ("return path", self.return_path)):
            if not _HOST(name) or "." not in name:
                raise RenderError(f"{what}: {name!r} is no domain name, such as mail.example.com")
        if self.source_address is not None and not _is_address(self.source_address):
            raise RenderError(f"source address: {self.source_address!r} is no IP address")
        for network in self.networks:
            _check_network(network)
        _check_path(self.state)
        for name, value in self.settings.items():
            if not _PARAMETER(name) or not value.isprintable():
                raise RenderError(f"{name!r}: parameters look like smtp_helo_timeout, and values fit on one line")


def main_cf(host: Smarthost, folder: Path) -> str:
    """`folder` is absolute."""
    lines = {
        "compatibility_level": "3.6",
        "config_directory": str(folder),
        "queue_directory": str(host.state / "queue"),
        "data_directory": str(host.state / "data"),
        "maillog_file": str(host.state / "mail.log"),
        "maillog_file_prefixes": f"/var, /dev/stdout, {host.state}",
        "myhostname": host.hostname,
        "mydestination": "",
        "local_recipient_maps": "",
        "local_transport": "error:5.1.1 nobody is local here",
        "alias_maps": "",
        "alias_database": "",
        "relay_domains": "",
        "append_dot_mydomain": "no",
        "inet_interfaces": "all" if host.listen.host in ("0.0.0.0", "::") else host.listen.host,  # noqa: S104
        "mynetworks": ", ".join(host.networks),
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject",
        "smtpd_peername_lookup": "no",
        "disable_vrfy_command": "yes",
        # Reports by mail to the return path; copies of them to nobody else.
        "notify_classes": "",
        "bounce_size_limit": "50000",
        "delay_warning_time": "4h",
        "maximal_queue_lifetime": "3d",
        "bounce_queue_lifetime": "3d",
        "message_size_limit": "52428800",
        "smtp_tls_security_level": "may",
        "smtp_tls_loglevel": "1",
        "transport_maps": f"inline:{{ {{ {host.return_path.lower()} = reports:{host.reports.next_hop} }} }}",
    }
    if host.next_hop is not None:
        # Not `relayhost`, and no catch-all in transport_maps: that would take the reports, too.
        lines["default_transport"] = f"smtp:{host.next_hop.next_hop}"
    if host.source_address is not None:
        version = ipaddress.ip_address(host.source_address).version
        lines["smtp_bind_address" if version == 4 else "smtp_bind_address6"] = host.source_address
    lines |= host.settings
    return "".join(f"{name} = {value}".rstrip() + "\n" for name, value in lines.items())


def master_cf(host: Smarthost) -> str:
    return f"{host.listen.service} inet n - n - - smtpd\n" + _SERVICES.lstrip()


def render(host: Smarthost, folder: Path) -> list[Path]:
    """Write the configuration and make the folders that `postfix check` wants. Returns the files. Raises `RenderError`
    and OSError. Run as root, or Postfix will not start."""
    folder = folder.absolute()  # Postfix takes no other, and does not say so
    _check_path(folder)
    for path in (folder, host.state):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
    for name in ("queue", "data"):
        (host.state / name).mkdir(exist_ok=True)
    if os.geteuid() == 0:
        try:
            shutil.chown(host.state / "data", "postfix")
        except LookupError:
            raise RenderError("there is no user `postfix` on this machine: install Postfix first") from None
    written = []
    for name, text in (("main.cf", main_cf(host, folder)), ("master.cf", master_cf(host))):
        path = folder / name
        path.write_text(text)
        path.chmod(0o644)
        written.append(path)
    return written


def _check_path(path: Path) -> None:
    if not path.is_absolute() or re.search(r"[\s,${}]", str(path)):
        raise RenderError(f"{path}: give a whole path, without spaces, commas, dollar signs and braces")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_network(text: str) -> None:
    """As `mynetworks` has it: IPv6 in brackets."""
    try:
        network = ipaddress.ip_network(text.replace("[", "").replace("]", ""))
    except ValueError as error:
        raise RenderError(f"networks: {error}") from None
    if network.prefixlen == 0:
        raise RenderError("networks: everybody could relay; that is what spammers look for")
