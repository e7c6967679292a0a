"""The same servers and client as the tests of the API."""

from tests.api.conftest import client, services, settings, stranger, tenant

__all__ = ["client", "services", "settings", "stranger", "tenant"]
