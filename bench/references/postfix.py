"""The reference for `sender_vs_postfix`: Postfix with OpenDKIM over a unix socket, as one sets them up, and `smtp-sink`
as the far side. Everything listens on 127.0.0.1 and mail can go nowhere but to the sink."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

SENDER = "bounces@acme.test"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postfix/sbin"
_MAIN = """compatibility_level = 3.6
config_directory = {folder}/etc
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx1.acme.test
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
default_transport = smtp:[127.0.0.1]:{sink}
smtp_bind_address = 127.0.0.1
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_milters = unix:{folder}/milter/opendkim.sock
milter_default_action = tempfail
notify_classes =
"""
_SERVICES = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""
_OPENDKIM = """Mode s
Syslog no
Canonicalization relaxed/relaxed
Domain acme.test
Selector s1
KeyFile {folder}/milter/key.pem
OversignHeaders From
SignHeaders From,To,Cc,Subject,Date,Message-ID,Reply-To,MIME-Version,Content-Type,Content-Transfer-Encoding
Socket local:{folder}/milter/opendkim.sock
UMask 000
RequireSafeKeys no
PidFile {folder}/milter/opendkim.pid
"""


def program(name: str) -> str:
    """Raises RuntimeError, saying what to install."""
    found = shutil.which(name, path=f"{_PATH}:{os.environ.get('PATH', '')}")
    if found is None:
        raise RuntimeError(f"{name} is not installed (sh scripts/toolchains.sh mail)")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def smtp_sink() -> AsyncIterator[int]:
    """Postfix's own test server, written in C: takes everything, keeps nothing. Gives its port."""
    port = free_port()
    command = [program("smtp-sink"), *(("-u", "nobody") if os.geteuid() == 0 else ()), f"127.0.0.1:{port}", "1000"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await _answers(port)
        yield port
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Postfix:
    """`port` takes mail from this machine. Needs root, as Postfix does."""

    def __init__(self, folder: Path, sink: int) -> None:
        self.folder = folder
        self.port = free_port()
        self._sink = sink
        self._etc = folder / "etc"

    def prepare(self, key: bytes) -> None:
        for name in ("etc", "spool", "data", "milter"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        values = {"folder": self.folder, "sink": self._sink, "port": self.port}
        (self._etc / "main.cf").write_text(_MAIN.format(**values))
        (self._etc / "master.cf").write_text(_SERVICES.format(**values))
        (self.folder / "milter" / "opendkim.conf").write_text(_OPENDKIM.format(**values))
        (self.folder / "milter" / "key.pem").write_bytes(key)

    async def start(self) -> None:
        await _run(program("opendkim"), "-x", str(self.folder / "milter" / "opendkim.conf"))
        await _run(program("postfix"), "-c", str(self._etc), "start")
        await _answers(self.port)

    async def stop(self) -> None:
        await _run(program("postfix"), "-c", str(self._etc), "stop", check=False)
        with suppress(OSError, ValueError):
            os.kill(int((self.folder / "milter" / "opendkim.pid").read_text()), 15)

    async def send(self, message: Path, count: int, sessions: int = 20) -> None:
        """Hand over `count` messages on kept connections and wait until the last has left the queue."""
        await _run(
            program("smtp-source"),
            *("-d", "-s", str(sessions), "-m", str(count), "-N", "-f", SENDER, "-t", "ada@example.com"),
            *("-F", str(message), f"inet:127.0.0.1:{self.port}"),
        )
        while self._queued():
            await asyncio.sleep(0.01)

    def _queued(self) -> bool:
        """Whether a message is in the queue, by its folders: asking `postqueue` takes longer than sending."""
        spool = self.folder / "spool"
        return any(
            entry.is_file()
            for queue in ("maildrop", "incoming", "active", "deferred")
            for entry in (spool / queue).rglob("*")
        )

    def delivered(self) -> int:
        """How many messages the log says were delivered."""
        return self.log().count("status=sent")

    def log(self) -> str:
        return (self.folder / "mail.log").read_text()


async def _run(*command: str, check: bool = True) -> None:
    """Daemons keep what they inherit, so they inherit nothing."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    status = await process.wait()
    if check and status:
        raise RuntimeError(f"{Path(command[0]).name} ended with status {status}")


async def _answers(port: int) -> None:
    for _ in range(500):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")
