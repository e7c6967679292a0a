"""A small IMAP client (RFC 3501, RFC 9051): what reading an inbox needs, and no more.

Of our own, because the known asyncio library (aioimaplib) is under the GPL, which this project cannot ship with, and
hides the server's words that people need to see when signing in fails.
"""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from penguinmails_core.mailboxes.records import MailServer
from penguinmails_sender.mailboxes.causes import CannotSignIn, cause_of
from penguinmails_sender.mailboxes.wire import Reach, Wire, connect
from penguinmails_sender.mailboxes.xoauth2 import initial_response
from penguinmails_sender.smtp.replies import printable

MAX_LITERAL = 64 * 1024 * 1024
_LITERAL = re.compile(rb"\{(\d{1,10})\+?\}\Z")
_MAX_UNTAGGED = 100_000


class ImapError(Exception):
    """The server answers NO or BAD. `words` are its own."""

    def __init__(self, command: str, words: str) -> None:
        super().__init__(f"{command}: {words}")
        self.words = words


@dataclass(slots=True)
class Line:
    """One response: its text with each literal taken out (`{n}` stays where it stood), and the literals in order."""

    text: bytes
    literals: list[bytes] = field(default_factory=list)


class Imap:
    """A session that is signed in. Raises `CannotSignIn` when the connection fails, `ImapError` for a refusal."""

    def __init__(self, wire: Wire, server: MailServer) -> None:
        self._wire = wire
        self._server = server
        self._count = 0
        self.capabilities: frozenset[str] = frozenset()

    @classmethod
    async def open(cls, reach: Reach, server: MailServer, token: str | None = None) -> Self:
        """Connected and signed in. `token`: by XOAUTH2. Raises `CannotSignIn`."""
        wire = await connect(reach, server)
        self = cls(wire, server)
        try:
            await self._begin()
            await self._sign_in(token)
        except BaseException:
            await wire.close()
            raise
        return self

    async def command(self, text: str, *, shown: str | None = None) -> list[Line]:
        """The untagged responses of one command. Raises `ImapError` for NO and BAD."""
        tag = await self.send(text)
        lines: list[Line] = []
        while True:
            line = await self.read()
            if line.text.startswith(tag + b" "):
                status, _, words = line.text[len(tag) + 1 :].partition(b" ")
                self._note_capabilities(words)
                if status.upper() != b"OK":
                    raise ImapError(shown or text.split(" ", 1)[0], printable(words[:400]))
                return lines
            lines.append(line)
            if len(lines) > _MAX_UNTAGGED:
                raise CannotSignIn("protocol", f"{self._server.host} sends responses without end.")

    async def send(self, text: str) -> bytes:
        """Begin a command; its tag."""
        self._count += 1
        tag = b"p%d" % self._count
        await self._wire.send(tag + b" " + text.encode())
        return tag

    async def read(self, timeout: float | None = None) -> Line:  # noqa: ASYNC109
        """The next response with its literals."""
        text = await self._wire.line(timeout)
        line = Line(text)
        while match := _LITERAL.search(text):
            size = int(match[1])
            if size > MAX_LITERAL:
                raise CannotSignIn("protocol", f"{self._server.host} sends a literal of {size} octets.")
            line.literals.append(await self._wire.exactly(size))
            text = await self._wire.line()
            line.text += text
        return line

    async def continue_with(self, text: str) -> None:
        await self._wire.send(text.encode())

    async def close(self) -> None:
        with suppress(CannotSignIn, ImapError):
            await self.command("LOGOUT")
        await self._wire.close()

    def drop(self) -> None:
        """Without goodbye."""
        self._wire.writer.close()

    async def _begin(self) -> None:
        greeting = (await self.read()).text
        if not greeting.startswith(b"* "):
            detail = f"What answers is no IMAP server: {printable(greeting[:80])!r}."
            raise CannotSignIn("protocol", detail)
        if greeting[2:5].upper() == b"BYE":
            words = printable(greeting[6:400])
            raise CannotSignIn(cause_of(words, "server_unavailable"), f"{self._server.host} answered: {words}")
        self._note_capabilities(greeting)
        if self._server.tls == "starttls":
            if "STARTTLS" not in await self._known():
                raise CannotSignIn("starttls_missing", f"{self._server.host} does not offer STARTTLS.")
            try:
                await self.command("STARTTLS")
            except ImapError as error:
                raise CannotSignIn("starttls_missing", f"{self._server.host} answered: {error.words}") from None
            await self._wire.start_tls()
            self.capabilities = frozenset()  # what was said in plain text does not count (RFC 3501 §6.2.1)

    async def _sign_in(self, token: str | None) -> None:
        server, known = self._server, await self._known()
        if token is not None:
            if "AUTH=XOAUTH2" not in known:
                raise CannotSignIn("auth_unsupported", f"{server.host} does not offer XOAUTH2.")
            tag = await self.send(f"AUTHENTICATE XOAUTH2 {initial_response(server.username, token)}")
            await self._finish(tag, "")
        elif "AUTH=PLAIN" in known:
            tag = await self.send("AUTHENTICATE PLAIN")
            secret = f"\0{server.username}\0{server.password or ''}".encode()
            await self._finish(tag, b64encode(secret).decode())
        elif "LOGINDISABLED" in known:
            code = "oauth_needed" if "AUTH=XOAUTH2" in known else "auth_unsupported"
            raise CannotSignIn(code, f"{server.host} does not take passwords on this connection.")
        else:
            name, password = _quoted(server.username), _quoted(server.password or "")
            tag = await self.send(f"LOGIN {name} {password}")
            await self._finish(tag, "")

    async def _finish(self, tag: bytes, answer: str) -> None:
        """Of a sign-in: answer what the server asks for. Raises `CannotSignIn` with its words."""
        asked = 0
        while True:
            line = (await self.read()).text
            if line.startswith(b"+"):
                asked += 1
                if asked > 3:
                    raise CannotSignIn("protocol", f"{self._server.host} asks for more than was agreed.")
                await self.continue_with(answer if asked == 1 else "")
            elif line.startswith(tag + b" "):
                status, _, words = line[len(tag) + 1 :].partition(b" ")
                if status.upper() != b"OK":
                    said = printable(words[:300])
                    raise CannotSignIn(cause_of(said, "auth_failed"), f"{self._server.host} answered: {said}")
                self._note_capabilities(words)
                return
            elif line[:5].upper() == b"* BYE":
                said = printable(line[6:300])
                raise CannotSignIn(cause_of(said, "server_unavailable"), f"{self._server.host} answered: {said}")
            else:
                self._note_capabilities(line)

    async def _known(self) -> frozenset[str]:
        if not self.capabilities:
            for line in await self.command("CAPABILITY"):
                self._note_capabilities(line.text)
        return self.capabilities

    def _note_capabilities(self, words: bytes) -> None:
        if match := re.search(rb"(?:\[|\* )CAPABILITY ([^\]\r\n]*)", words, re.IGNORECASE):
            self.capabilities = frozenset(match[1].decode("ascii", "replace").upper().split())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
