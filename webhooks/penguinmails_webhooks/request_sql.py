"""The part of the claim that reads what an endpoint wants of its requests."""

from __future__ import annotations

from penguinmails_webhooks.catalogue import LATEST_VERSION

# What an endpoint wants of its requests; null in the usual case, so that nothing is read, sent and opened for it.
REQUEST = f"""case
    when e.payload <> 'full' or e.schema_version < {LATEST_VERSION} or e.headers <> '{{}}' or e.older_secrets <> '[]'
      or e.secret_headers is not null or e.client_key is not null
      or e.destination <> 'http'
    then json_build_object('payload', e.payload, 'schema_version', e.schema_version, 'headers', e.headers,
      'secret_headers', encode(e.secret_headers, 'base64'), 'older_secrets', e.older_secrets,
      'client_certificate', e.client_certificate, 'client_key', encode(e.client_key, 'base64'),
      'destination', e.destination, 'destination_settings', e.destination_settings,
      'destination_secret', encode(e.destination_secret, 'base64'))::text end"""
