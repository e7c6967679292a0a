"""NATS: one message for each event on a subject, with the `webhook-*` headers and `Nats-Msg-Id`.

With JetStream (as long as the owner does not switch it off) the stream answers that it has stored the message, and
drops a repeat by its id within the stream's own window. Without, NATS takes the message and promises nothing.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penguinmails_core.errors import FieldError
from penguinmails_core.kit.http_guard import BrokenResponse, ConnectFailed, OutgoingError, TimedOut, TlsFailed
from penguinmails_webhooks.destinations.base import (
    Clients,
    Limits,
    Message,
    Missing,
    Rejected,
    Target,
    TooLarge,
    parse_place,
    url_errors,
)

if TYPE_CHECKING:
    from nats.aio.client import Client

SCHEMES = {"tls": (4222, True), "nats": (4222, False)}
_SUBJECT = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*\Z")
_MAX_SUBJECT = 255


def check(url: str, settings: Mapping[str, Any], secret: str | None, *, allow_private: bool) -> list[FieldError]:
    """As `registry.check`."""
    errors = []
    try:
        place = parse_place(url, SCHEMES, allow_private=allow_private)
        if place.path.strip("/"):
            errors.append(FieldError("/url", "invalid_url", "`url` has no path; the subject stands in `subject`."))
    except OutgoingError as error:
        errors += url_errors(error)
    subject = settings.get("subject")
    if not subject or len(subject) > _MAX_SUBJECT or not (_SUBJECT.match(subject) and subject.isprintable()):
        detail = f"`subject` is up to {_MAX_SUBJECT} characters, without spaces and wildcards: penguinmails.events."
        errors.append(FieldError("/destination/subject", "required" if not subject else "invalid", detail))
    if settings.get("username") and secret is None:
        detail = "`username` needs the password, as `secret`."
        errors.append(FieldError("/destination/secret", "required", detail))
    return errors


class Nats:
    """`trust` makes the TLS context; the system's roots by default."""

    kind = "nats"

    def __init__(self, limits: Limits, *, trust: ssl.SSLContext | None = None) -> None:
        self._limits = limits
        self._trust = trust
        self._clients: Clients[Client] = Clients(limits.dns, lambda client: client.close())

    async def send(self, target: Target, message: Message) -> dict[str, Any]:
        try:
            from nats import errors as nats_errors
            from nats.js import errors as js_errors
        except ImportError:
            detail = "this server has no NATS client: its operator can `pip install penguinmails-server[nats]`"
            raise Missing(detail) from None
        client: Client | None = None
        timeout = self._limits.timeout
        try:
            async with asyncio.timeout(timeout):
                client = await self._clients.get(target.identity, lambda: self._connect(target))
                return await self._publish(client, target, message)
        except nats_errors.MaxPayloadError:
            raise TooLarge(f"the event has {len(message.body)} bytes, more than the server takes") from None
        except js_errors.NoStreamResponseError:
            raise Rejected(f"no stream of JetStream takes the subject {target.settings['subject']}") from None
        except js_errors.APIError as error:
            raise Rejected(f"JetStream answered {error.code}: {error.description}") from None
        except (nats_errors.Error, OSError, TimeoutError) as error:
            await self._clients.drop(target.identity, client)
            raise _translated(error, timeout) from None

    async def close(self) -> None:
        await self._clients.close()

    async def _publish(self, client: Client, target: Target, message: Message) -> dict[str, Any]:
        subject = target.settings["subject"]
        headers = {**message.headers, "Nats-Msg-Id": message.id, "type": message.type}
        if target.settings.get("jetstream") is False:
            await client.publish(subject, message.body, headers=headers)
            await client.flush(timeout=int(self._limits.timeout) or 1)
            return {"jetstream": False}
        ack = await client.jetstream().publish(subject, message.body, timeout=self._limits.timeout, headers=headers)
        return {"stream": ack.stream, "sequence": ack.seq, "duplicate": bool(ack.duplicate)}

    async def _connect(self, target: Target) -> Client:
        from nats.aio.client import Client

        place = parse_place(target.url, SCHEMES, allow_private=self._limits.allow_private)
        address = await self._clients.address(place)
        username = target.settings.get("username")
        options: dict[str, Any] = (
            {"user": username, "password": target.secret} if username else {"token": target.secret}
        )
        if place.tls:
            options |= {"tls": self._trust or ssl.create_default_context(), "tls_hostname": place.host}
        host = f"[{address}]" if ":" in address else address
        client = Client()
        problems: list[Exception] = []

        async def remember(error: Exception) -> None:
            problems.append(error)

        try:
            await client.connect(
                f"{'tls' if place.tls else 'nats'}://{host}:{place.port}",
                name="penguinmails",
                # A server tells of others of its cluster: whatever it names is never called.
                allow_reconnect=False,
                connect_timeout=max(int(self._limits.timeout), 1),
                error_cb=remember,
                **options,
            )
        except BaseException as error:
            await client.close()
            if problems and isinstance(error, Exception):
                raise problems[-1] from None
            raise
        return client


def _translated(error: Exception, timeout: float) -> OutgoingError:
    """Without the error's own text where it holds addresses, which the owner of a name need not learn."""
    if isinstance(error, TimeoutError):
        return TimedOut(f"no answer within {timeout:g} s")
    if isinstance(error, ssl.SSLError):
        return TlsFailed("no TLS connection could be made, or the certificate is not trusted")
    if isinstance(error, OSError):
        return ConnectFailed("no connection to NATS")
    text = str(error).lower()
    if "authorization" in text or "permission" in text:
        return Rejected("NATS does not let us publish: look at user, password or token, and their rights")
    if "no servers" in text or "refused" in text:
        return ConnectFailed("no connection to NATS")
    return BrokenResponse("the connection to NATS broke")
