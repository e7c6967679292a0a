"""People, for the resources that are about them."""

from __future__ import annotations

import pytest

from penguinmails_api.services import Services
from tests.api.v1.people import World
from tests.fixtures.client import ApiClient
from tests.fixtures.factories import Tenant


@pytest.fixture
def world(services: Services, client: ApiClient, tenant: Tenant) -> World:
    return World(services, client, tenant)
