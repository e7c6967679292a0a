"""One mail transaction: MAIL, RCPT, DATA, content (RFC 5321 §3.3), pipelined where offered (RFC 2920).

Hot path: a message costs one write for MAIL, RCPT and DATA together, one for the content, and two reads.

What a failure means depends on when it comes: before the final dot is written the server cannot have the message
(`deferred`); from then on, without a reply, nobody knows (`ambiguous`).
"""

from __future__ import annotations

from penguinmails_sender.smtp.connection import SmtpConnection
from penguinmails_sender.smtp.envelope import Envelope, dot_stuffed, has_bare_line_ends, is_safe_path, xtext
from penguinmails_sender.smtp.replies import Reply
from penguinmails_sender.smtp.results import Outcome, RecipientResult, outcome_of
from penguinmails_sender.smtp.wire import ConnectionLost

_ONE_WRITE = 64 * 1024  # octets; more is written block by block, as the server takes it
_TAIL = 4096  # octets that are kept back with the final dot until the rest has been taken


class Stale(Exception):
    """The connection was gone before the server answered anything: nothing has been said, another one may be used.
    `reply` is the 421 that came instead of an answer, if one came."""

    def __init__(self, detail: str, reply: Reply | None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reply = reply


class _Broken(Exception):
    """The transaction ends here. `reply` is the server's last word, if any; the connection is of no further use."""

    def __init__(self, detail: str, reply: Reply | None = None) -> None:
        super().__init__(detail)
        self.reply = reply


async def deliver(connection: SmtpConnection, envelope: Envelope) -> list[RecipientResult]:
    """A result for each recipient, in order. A connection that is not `usable` afterwards must not be used again; that
    includes one whose transaction was cancelled. Raises Stale, and nothing else but cancellation."""
    connection.messages += 1
    refusal = _refusal(connection, envelope)
    if refusal is not None:
        code, text = refusal
        return [_local(connection, address, Outcome.BOUNCED, text, code) for address in envelope.recipients]
    transaction = _Transaction(connection, envelope)
    try:
        await transaction.run()
    except _Broken as broken:
        connection.wire.abort()
        if transaction.answered == 0:
            raise Stale(str(broken), broken.reply) from None
        if broken.reply is None:
            transaction.settle(transaction.pending, str(broken))
        else:
            transaction.settle(None, broken.reply, "")
    except BaseException:
        connection.wire.abort()
        raise
    results = transaction.results
    return [result for result in results if result is not None]


def _refusal(connection: SmtpConnection, envelope: Envelope) -> tuple[str, str] | None:
    """(enhanced code, why) if this server can never take the message: said before anything is sent."""
    if not is_safe_path(envelope.envelope_sender):
        return "5.1.7", "the envelope sender cannot be written in SMTP"
    if not all(map(is_safe_path, envelope.recipients)):
        return "5.1.3", "a recipient's address cannot be written in SMTP"
    content, extensions = envelope.content, connection.extensions
    if has_bare_line_ends(content):
        return "5.6.0", "the message has a CR or LF that is not part of a CRLF"
    limit = extensions.get("SIZE", "")
    if limit.isdecimal() and 0 < int(limit) < len(content):
        return "5.3.4", f"the message has {len(content)} octets; the server takes {limit}"
    if _is_utf8(envelope) and "SMTPUTF8" not in extensions:
        return "5.6.7", "the server does not take non-ASCII addresses (SMTPUTF8)"
    if "8BITMIME" not in extensions and not content.isascii():
        return "5.6.3", "the server does not take 8-bit content (8BITMIME)"
    return None


def _is_utf8(envelope: Envelope) -> bool:
    return (
        envelope.smtputf8
        or not envelope.envelope_sender.isascii()
        or not all(address.isascii() for address in envelope.recipients)
    )


def _local(
    connection: SmtpConnection, address: str, outcome: Outcome, text: str, enhanced_code: str | None = None
) -> RecipientResult:
    return RecipientResult(
        address,
        outcome,
        None,
        enhanced_code,
        text,
        connection.options.host,
        connection.tls,
        tls_version=connection.tls_version,
        tls_source=connection.options.tls_source,
    )


def _reports(address: str) -> str:
    """What a recipient's reports are wanted for, and the address that they shall name (RFC 3461 §4.1, §4.2)."""
    original = f" ORCPT=rfc822;{xtext(address)}" if address.isascii() else ""
    return f" NOTIFY=FAILURE,DELAY{original}"


class _Transaction:
    """`pending` is what a recipient without a result gets if the conversation breaks now."""

    def __init__(self, connection: SmtpConnection, envelope: Envelope) -> None:
        self.connection = connection
        self.envelope = envelope
        self.results: list[RecipientResult | None] = [None] * len(envelope.recipients)
        self.pending = Outcome.DEFERRED
        self.answered = 0  # replies to MAIL, RCPT, DATA and the content, a 421 not counted
        self._pipelining = "PIPELINING" in connection.extensions

    async def run(self) -> None:
        """Raises _Broken."""
        commands = self._commands()
        timeouts = self.connection.options.timeouts
        if self._pipelining:
            reset = b"RSET\r\n" if self.connection.needs_reset else b""
            self._write(reset + "".join(commands).encode())
        if self.connection.needs_reset:
            reset_reply = await self._expect("RSET\r\n", timeouts.command, "RSET")
            self.answered = 0
            if not 200 <= reset_reply.code < 300:
                raise _Broken(f"the server answered RSET with {reset_reply}")
        self.connection.needs_reset = True

        mail = await self._expect(commands[0], timeouts.command, "MAIL")
        refused = None if 200 <= mail.code < 300 else mail
        if refused is not None and not self._pipelining:
            self.settle(None, refused, "MAIL")
            return
        accepted = await self._recipients(commands[1:-1], refused)
        if not accepted and not self._pipelining:
            return
        data = await self._expect(commands[-1], timeouts.data, "DATA")
        if data.code == 354:
            if accepted:
                await self._content()
            else:
                # RFC 2920 §3.1: the server went along although nobody is left; an empty message ends it.
                self._write(b".\r\n")
                await self._reply(timeouts.final, "the empty message")
        else:
            self.settle(None, data)

    def _commands(self) -> list[str]:
        envelope, extensions = self.envelope, self.connection.extensions
        mail = f"MAIL FROM:<{envelope.envelope_sender}>"
        if "SIZE" in extensions:
            mail += f" SIZE={len(envelope.content)}"
        if not envelope.content.isascii():
            mail += " BODY=8BITMIME"
        if _is_utf8(envelope):
            mail += " SMTPUTF8"
        if envelope.envelope_id is None or "DSN" not in extensions:
            recipients = [f"RCPT TO:<{address}>\r\n" for address in envelope.recipients]
        else:
            mail += f" RET=HDRS ENVID={xtext(envelope.envelope_id)}"
            recipients = [f"RCPT TO:<{address}>{_reports(address)}\r\n" for address in envelope.recipients]
        return [mail + "\r\n", *recipients, "DATA\r\n"]

    async def _recipients(self, commands: list[str], refused: Reply | None) -> bool:
        """Read the answer for each; True if one is left. After a refused MAIL all get its reply."""
        left = False
        timeout = self.connection.options.timeouts.command
        for index, command in enumerate(commands):
            reply = await self._expect(command, timeout, "RCPT")
            if refused is None and 200 <= reply.code < 300:
                left = True
            else:
                self._result(index, outcome_of(refused or reply), refused or reply, "MAIL" if refused else "RCPT")
        return left

    async def _content(self) -> None:
        timeouts, wire = self.connection.options.timeouts, self.connection.wire
        data = dot_stuffed(self.envelope.content)
        if len(data) > _ONE_WRITE:
            head, data = memoryview(data)[:-_TAIL], data[-_TAIL:]
            try:
                taken = await wire.write_blocks(head, timeouts.block)
            except ConnectionLost as lost:
                raise _Broken(str(lost)) from None
            if not taken:
                # An answer in the middle of the message can only be a refusal; what follows would be commands.
                reply = await self._reply(timeouts.final, "DATA")
                raise _Broken("the server refused the message half-way", reply if reply.code >= 400 else None)
        self._write(data)
        self.pending = Outcome.AMBIGUOUS
        reply = await self._reply(timeouts.final, "the end of the message")
        if not 200 <= reply.code < 300 and reply.code < 400:
            raise _Broken(f"the server answered the end of the message with {reply}")
        self.settle(None, reply)
        # Whether it was taken or refused, the transaction is over (RFC 5321 §4.1.1.4).
        self.connection.needs_reset = False
        if reply.code == 421:
            self.connection.wire.abort()

    def _write(self, data: bytes) -> None:
        try:
            self.connection.wire.write(data)
        except ConnectionLost as lost:
            raise _Broken(str(lost)) from None

    async def _expect(self, command: str, timeout: float, shown: str) -> Reply:  # noqa: ASYNC109
        """The reply to `command`, which is written first unless it went out with the others. 421 breaks."""
        if not self._pipelining:
            self._write(command.encode())
        reply = await self._reply(timeout, shown)
        if reply.code == 421:
            self.answered -= 1
            raise _Broken(f"the server closes the connection at {shown}", reply)
        if reply.code < 400 and (reply.code >= 300 if shown != "DATA" else reply.code != 354):
            raise _Broken(f"the server answered {shown} with {reply}")
        return reply

    async def _reply(self, timeout: float, shown: str) -> Reply:  # noqa: ASYNC109
        try:
            reply = await self.connection.wire.reply(timeout, shown)
        except ConnectionLost as lost:
            raise _Broken(str(lost)) from None
        self.answered += 1
        return reply

    def settle(self, outcome: Outcome | None, reply: Reply | str, command: str = "DATA") -> None:
        """Give all who have no result yet the same one; `outcome` None means what the reply says."""
        for index, result in enumerate(self.results):
            if result is None:
                self._result(index, outcome, reply, command)

    def _result(self, index: int, outcome: Outcome | None, reply: Reply | str, command: str) -> None:
        connection, address = self.connection, self.envelope.recipients[index]
        if isinstance(reply, str):
            self.results[index] = _local(connection, address, outcome or Outcome.DEFERRED, reply)
            return
        self.results[index] = RecipientResult(
            address,
            outcome_of(reply) if outcome is None else outcome,
            reply.code,
            reply.enhanced_code,
            reply.text,
            connection.options.host,
            connection.tls,
            command=command,
            tls_version=connection.tls_version,
            tls_source=connection.options.tls_source,
        )
