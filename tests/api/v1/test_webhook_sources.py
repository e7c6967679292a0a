"""`GET /v1/webhook_sources`: what the operator says, and that nothing was said."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from penguinmails_api.services import Settings
from penguinmails_core.config import DatabaseSettings, WebhookSettings
from tests.fixtures.client import ApiClient

PATH = "/v1/webhook_sources"


async def test_nothing_was_said(client: ApiClient) -> None:
    assert (await client.get(PATH)).json() == {"configured": False, "networks": []}


class TestConfigured:
    @pytest.fixture
    def settings(self, monkeypatch: pytest.MonkeyPatch) -> Settings:
        monkeypatch.setenv("PENGUINMAILS_WEBHOOK_SOURCES", "192.0.2.10, 198.51.100.0/28,2001:db8::/64 192.0.2.10")
        return Settings(database=DatabaseSettings(pool_size=2, ingest_connections=1, worker_connections=2))

    async def test_the_networks(self, client: ApiClient) -> None:
        networks = ["192.0.2.10/32", "198.51.100.0/28", "2001:db8::/64"]
        assert (await client.get(PATH)).json() == {"configured": True, "networks": networks}


@pytest.mark.parametrize("text", ["hooks.example.com", "192.0.2.10/24", "192.0.2.300", "10.0.0.1;10.0.0.2"])
def test_what_is_no_network_stops_the_start(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENGUINMAILS_WEBHOOK_SOURCES", text)
    with pytest.raises(ValidationError):
        WebhookSettings()
