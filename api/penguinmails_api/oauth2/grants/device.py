"""Devices without a browser (RFC 8628)."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc8628 import DeviceCodeGrant

from penguinmails_api.oauth2.call import current
from penguinmails_api.oauth2.grants.code import AUTH_METHODS
from penguinmails_api.oauth2.issuing import Issuing
from penguinmails_core.oauth import flow_repository as sql
from penguinmails_core.oauth.records import Device, Grant, Person

SLOWER = 5  # seconds that each hasty poll adds to the interval (§3.5)
MAX_INTERVAL = 300


class DeviceGrant(Issuing, DeviceCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def query_device_credential(self, device_code: str) -> Device:
        store = current().store
        found = store.device
        if found is None or store.app is None or found.app_id != store.app.id or found.status == "used":
            raise InvalidGrantError()
        return found

    def query_user_grant(self, user_code: str) -> tuple[Person | None, bool] | None:
        store = current().store
        device = store.device
        assert device is not None
        if device.status == "pending":
            return None
        if device.status == "denied" or device.grant is None:
            return None, False
        if device.grant.revoked or store.person is None:
            raise InvalidGrantError()
        return store.person, True

    def should_slow_down(self, credential: Device) -> bool:
        hasty = credential.polled_for is not None and credential.polled_for < credential.interval
        interval = min(credential.interval + SLOWER, MAX_INTERVAL) if hasty else credential.interval
        current().store.write(sql.POLL_DEVICE, credential.hash, interval)
        return hasty

    def issue_for(self) -> tuple[Grant, str | None]:
        """Marks the code as used: Authlib would take it again and again."""
        device: Device = self.request.credential
        assert device.grant is not None
        current().store.write(sql.USE_DEVICE, device.hash)
        return device.grant, None
