"""Both servers in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from penguinmails_core.embedded.account import open_folder, server_account
from penguinmails_core.embedded.postgres import EmbeddedPostgres
from penguinmails_core.embedded.valkey import EmbeddedValkey


class EmbeddedStack:
    """PostgreSQL and Valkey under `root`: `postgres/`, `valkey/`, `run/` (locks, ports, passwords) and `logs/`.

    A second start with the same folder finds the same data, passwords and, when free, ports. Only one stack at a time
    can use a folder. Every call blocks and is fine in `asyncio.to_thread`. Raises `EmbeddedError`.
    """

    def __init__(
        self,
        root: Path,
        *,
        binaries: Path | None = None,
        postgres_settings: Mapping[str, str] | None = None,
        postgres_port: int | None = None,
        valkey_port: int | None = None,
    ) -> None:
        self.root = Path(root).absolute()
        run, logs = self.root / "run", self.root / "logs"
        self.postgres = EmbeddedPostgres(
            self.root / "postgres",
            port=postgres_port,
            binaries=binaries,
            settings=postgres_settings,
            run_dir=run,
            log_dir=logs,
        )
        self.valkey = EmbeddedValkey(self.root / "valkey", port=valkey_port, run_dir=run, log_dir=logs)

    def start(self) -> None:
        """Starts what does not run; on failure nothing is left running."""
        open_folder(self.root, server_account(self.root / "postgres" / "home"))
        try:
            self.postgres.start()
            self.valkey.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops both; the data stays."""
        try:
            self.valkey.stop()
        finally:
            self.postgres.stop()

    @property
    def running(self) -> bool:
        """Whether both servers are alive."""
        return self.postgres.running and self.valkey.running

    @property
    def database_url(self) -> str:
        """`postgresql://` URL of the database `penguinmails`; a secret."""
        return self.postgres.dsn()

    @property
    def redis_url(self) -> str:
        """`redis://` URL; a secret."""
        return self.valkey.url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
