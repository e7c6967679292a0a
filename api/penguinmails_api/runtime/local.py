"""The whole product on one machine: embedded servers, API, inbox, and a worker process beside them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from penguinmails_api.app import create_gateway
from penguinmails_api.runtime.provision import prepare_mail
from penguinmails_api.runtime.secrets import configured_keys, local_keys, secret_box
from penguinmails_api.runtime.server import ApiServer, listening
from penguinmails_api.runtime.state import state_path
from penguinmails_api.runtime.worker import require_public_url
from penguinmails_api.services import Services, Settings, open_services
from penguinmails_core.config import AuthSettings, ConfigError, StackSettings, WebhookSettings
from penguinmails_core.domains.service import txt_lookup
from penguinmails_core.embedded import EmbeddedStack
from penguinmails_core.kit.crypto import SecretBox
from penguinmails_core.kit.tasks import end
from penguinmails_core.migrations import migrate
from penguinmails_core.system_mail.service import LOCAL_SENDER
from penguinmails_sender.inbox.server import CaptureInbox
from penguinmails_sender.inbox.store import CaptureStore

log = logging.getLogger(__name__)

_RESTART_SECONDS = 1.0
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """`root` holds all data. `throwaway` trades crash safety of the machine (not of processes) for start-up time."""

    root: Path
    host: str = "127.0.0.1"
    api_port: int = 0
    inbox_port: int = 0
    smtp_port: int = 0
    throwaway: bool = False
    allow_private_webhooks: bool = False


class LocalStack:
    """``async with LocalStack(options) as stack``: everything runs; `services` is the API's own."""

    def __init__(self, options: LocalOptions, settings: Settings | None = None) -> None:
        self.options = options
        self.settings = settings or Settings()
        self.database_url = ""
        self.redis_url: str | None = None
        self.services: Services
        self.box: SecretBox
        self.inbox: CaptureInbox
        self._keys = ""
        self._server: ApiServer
        self._stack = AsyncExitStack()

    @property
    def base_url(self) -> str:
        return self._server.url

    @property
    def inbox_url(self) -> str:
        return self.inbox.url

    @property
    def smtp_port(self) -> int:
        return self.inbox.smtp_port

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        require_public_url(self.settings)
        await self._open_servers()
        content_url = self.settings.content.database_url
        await migrate(self.database_url, content_url.get_secret_value() if content_url else None)
        self.box = secret_box(self._keys)
        self.settings = replace(
            self.settings, webhooks=self._webhook_settings(), stack=self._stack_settings(), auth=self._auth_settings()
        )
        self.services = await open_services(self.database_url, self.redis_url, self.settings, box=self.box)
        self._stack.push_async_callback(self.services.close)
        self._server = ApiServer(create_gateway(self.services), self.options.host, self.options.api_port)
        self._server.bind()
        self.services.serve_at(self._server.url)
        await prepare_mail(self.services)
        await self._open_inbox()
        await self._server.start()
        self._stack.push_async_callback(self._server.stop)
        worker = _WorkerProcess(self._worker_environment())
        await worker.start()
        self._stack.push_async_callback(worker.stop)
        self._announce()

    async def _open_servers(self) -> None:
        settings, root = self.settings, self.options.root
        if settings.database.url is not None:
            self.database_url = settings.database.url.get_secret_value()
            self.redis_url = settings.redis.url.get_secret_value() if settings.redis.url else None
            self._keys = configured_keys(settings.stack)
            return
        loose = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on"}
        embedded = EmbeddedStack(root, postgres_settings=loose if self.options.throwaway else {})
        await asyncio.to_thread(embedded.start)
        self._stack.push_async_callback(asyncio.to_thread, embedded.stop)
        self.database_url, self.redis_url = embedded.database_url, embedded.redis_url
        self._keys = settings.stack.secret_keys.get_secret_value() if settings.stack.secret_keys else local_keys(root)

    async def _open_inbox(self) -> None:
        folder = None if self.options.throwaway else self.options.root / "inbox"

        self.inbox = CaptureInbox(
            CaptureStore(folder=folder),
            txt_lookup=self.lookup,
            smtp_port=self.options.smtp_port,
            http_port=self.options.inbox_port,
            api_url=self.base_url,
        )
        with listening("--inbox-port", "", self.inbox.host, self.options.inbox_port):
            await self.inbox.start()
        self._stack.push_async_callback(self.inbox.stop)

    async def lookup(self, name: str) -> list[bytes]:
        """TXT records as DNS would have them, if our own domains were published."""
        return await txt_lookup(self.services.database, name)

    def _webhook_settings(self) -> WebhookSettings:
        if not self.options.allow_private_webhooks:
            return self.settings.webhooks
        return self.settings.webhooks.model_copy(update={"allow_private": True})

    def _auth_settings(self) -> AuthSettings:
        """Who may call private receivers may also try single sign-on with a provider on the same machine."""
        if not self.options.allow_private_webhooks:
            return self.settings.auth
        return self.settings.auth.model_copy(update={"sso_allow_private": True})

    def _stack_settings(self) -> StackSettings:
        """Where nothing leaves the machine, the server's own mail may as well be sent: it is in the inbox."""
        stack = self.settings.stack
        if stack.system_mail_from is not None or self.settings.sender.transport != "capture":
            return stack
        return stack.model_copy(update={"system_mail_from": LOCAL_SENDER})

    def _worker_environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        environment["DATABASE_URL"] = self.database_url
        if self.redis_url:
            environment["REDIS_URL"] = self.redis_url
        environment["PENGUINMAILS_SECRET_KEYS"] = self._keys
        if self.settings.stack.system_mail_from is not None:
            environment["PENGUINMAILS_SYSTEM_MAIL_FROM"] = self.settings.stack.system_mail_from
        if self.settings.webhooks.allow_private:
            environment["PENGUINMAILS_WEBHOOK_ALLOW_PRIVATE"] = "true"
        if self.settings.sender.transport == "capture":
            environment["PENGUINMAILS_SENDER_HOST"] = "127.0.0.1"
            environment["PENGUINMAILS_SENDER_PORT"] = str(self.inbox.smtp_port)
            environment["PENGUINMAILS_SENDER_TLS"] = "off"
            environment["PENGUINMAILS_PUBLIC_URL"] = self.services.public.base
        return environment

    def _announce(self) -> None:
        """Tell other commands on this machine where the stack is (`penguinmails keys create`, `doctor`)."""
        path = state_path(self.options.root)
        path.parent.mkdir(parents=True, exist_ok=True)
        state: dict[str, object] = {
            "base_url": self.base_url,
            "public_url": self.services.public.base,
            "inbox_url": self.inbox_url,
            "database_url": self.database_url,
        }
        state |= {"redis_url": self.redis_url, "secret_keys": self._keys, "pid": os.getpid()}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(state, file)
        self._stack.callback(path.unlink, missing_ok=True)


class _WorkerProcess:
    """`penguinmails worker` as a child: started again when it dies, ended when we end, however we end (its standard
    input is a pipe that closes with us)."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name="worker keeper")

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "penguinmails_api.cli",
            "worker",
            "--with-parent",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is for us; we tell the worker
        )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if line.strip() != b"ready":
            code = await self._process.wait()
            raise ConfigError(f"the worker ended with exit code {code} before it was ready; its reason is above")

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            code = await self._process.wait()
            log.warning("the worker ended with exit code %s; starting it again", code)
            await asyncio.sleep(_RESTART_SECONDS)
            try:
                await self._spawn()
            except (OSError, ConfigError) as error:
                log.error("the worker does not start: %s", error)

    async def stop(self) -> None:
        await end(self._keeper)
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
