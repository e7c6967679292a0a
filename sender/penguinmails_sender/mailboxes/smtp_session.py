"""Signing in by SMTP (RFC 5321, RFC 3207, RFC 4954), to see whether it works."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress

from penguinmails_core.mailboxes.records import MailServer
from penguinmails_sender.mailboxes.causes import CannotSignIn, cause_of
from penguinmails_sender.mailboxes.wire import Reach, Wire, connect
from penguinmails_sender.mailboxes.xoauth2 import initial_response
from penguinmails_sender.smtp.replies import Reply, printable

_MAX_LINES = 100


async def try_smtp(reach: Reach, server: MailServer, token: str | None, hostname: str) -> None:
    """Connect, sign in, say goodbye. `token`: by XOAUTH2. Raises `CannotSignIn`."""
    wire = await connect(reach, server)
    try:
        greeting = await _reply(wire)
        if greeting.code != 220:
            raise CannotSignIn(cause_of(greeting.text, "server_unavailable"), _said(server, greeting))
        extensions = await _hello(wire, server, hostname)
        if server.tls == "starttls":
            if "STARTTLS" not in extensions:
                raise CannotSignIn("starttls_missing", f"{server.host} does not offer STARTTLS.")
            answer = await _command(wire, "STARTTLS")
            if answer.code != 220:
                raise CannotSignIn("starttls_missing", _said(server, answer))
            await wire.start_tls()
            extensions = await _hello(wire, server, hostname)
        await _authenticate(wire, server, token, extensions.get("AUTH", "").upper().split())
        with suppress(CannotSignIn):
            await _command(wire, "QUIT")
    finally:
        await wire.close()


async def _hello(wire: Wire, server: MailServer, hostname: str) -> dict[str, str]:
    reply = await _command(wire, f"EHLO {hostname}")
    if reply.code != 250:
        raise CannotSignIn("protocol", _said(server, reply))
    lines = (line.strip().replace("=", " ", 1).partition(" ") for line in reply.lines[1:])
    return {keyword.upper(): parameters for keyword, _, parameters in lines}


async def _authenticate(wire: Wire, server: MailServer, token: str | None, offered: list[str]) -> None:
    username, password = server.username, server.password or ""
    if token is not None and "XOAUTH2" in offered:
        reply = await _command(wire, f"AUTH XOAUTH2 {initial_response(username, token)}")
        if reply.code == 334:  # the error, in base64; an empty answer ends it
            reply = await _command(wire, "")
    elif token is None and "PLAIN" in offered:
        secret = b64encode(f"\0{username}\0{password}".encode()).decode()
        reply = await _command(wire, f"AUTH PLAIN {secret}")
    elif token is None and "LOGIN" in offered:
        reply = await _command(wire, "AUTH LOGIN")
        for part in (username, password):
            if reply.code == 334:
                reply = await _command(wire, b64encode(part.encode()).decode())
    else:
        code = "oauth_needed" if token is None and "XOAUTH2" in offered else "auth_unsupported"
        mechanisms = ", ".join(offered)[:100] or "none"
        raise CannotSignIn(code, f"{server.host} offers no way to sign in that we know; it offers: {mechanisms}.")
    if reply.code == 235:
        return
    default = "auth_failed" if reply.code in (535, 534, 538, 530, 550, 554) else "server_unavailable"
    if reply.code in (421, 454):
        default = "rate_limited" if reply.enhanced_code == "4.7.0" else "server_unavailable"
    raise CannotSignIn(cause_of(reply.text, default), _said(server, reply))


async def _command(wire: Wire, line: str) -> Reply:
    await wire.send(line.encode())
    return await _reply(wire)


async def _reply(wire: Wire) -> Reply:
    lines: list[str] = []
    while len(lines) < _MAX_LINES:
        line = await wire.line()
        if not (line[:3].isdigit() and 50 <= line[0] <= 53 and line[3:4] in (b" ", b"-", b"")):
            raise CannotSignIn("protocol", f"What answers is no SMTP server: {printable(line[:80])!r}.")
        lines.append(printable(line[4:]))
        if line[3:4] != b"-":
            return Reply(int(line[:3]), "\n".join(lines))
    raise CannotSignIn("protocol", "The server sends replies without end.")


def _said(server: MailServer, reply: Reply) -> str:
    words = " ".join(reply.text.split())[:300]
    return f"{server.host} answered: {reply.code} {words}"
