"""A SAML identity provider (pysaml2, signing by xmlsec1) in a process of its own.

Arguments: port, URL of the service provider's metadata, files of key and certificate (PEM). It signs everybody in as
grace@example.com and prints its entity id when it is ready.
"""

from __future__ import annotations

import html
import sys
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

warnings.simplefilter("ignore")
from saml2 import BINDING_HTTP_REDIRECT  # noqa: E402
from saml2.config import IdPConfig  # noqa: E402
from saml2.saml import NAMEID_FORMAT_EMAILADDRESS, NameID  # noqa: E402
from saml2.server import Server  # noqa: E402
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256  # noqa: E402

port, metadata_url, key_file, certificate_file = sys.argv[1:]
BASE = f"http://localhost:{port}"


def server() -> Server:
    """Made at the first request: the service provider must run already."""
    with urlopen(metadata_url) as answer:
        metadata = answer.read().decode()
    settings = {
        "entityid": f"{BASE}/metadata",
        "key_file": key_file,
        "cert_file": certificate_file,
        "metadata": {"inline": [metadata]},
        "service": {
            "idp": {
                "endpoints": {"single_sign_on_service": [(f"{BASE}/sso", BINDING_HTTP_REDIRECT)]},
                "sign_assertion": True,
                "signing_algorithm": SIG_RSA_SHA256,
                "digest_algorithm": DIGEST_SHA256,
                "policy": {"default": {"attribute_restrictions": None}},
            }
        },
    }
    return Server(config=IdPConfig().load(settings))


class Pages(BaseHTTPRequestHandler):
    idp: Server | None = None

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path != "/sso":
            self.send_error(404)
            return
        if Pages.idp is None:
            Pages.idp = server()
        asked = Pages.idp.parse_authn_request(query["SAMLRequest"], BINDING_HTTP_REDIRECT).message
        made = Pages.idp.create_authn_response(
            {"mail": "grace@example.com", "displayName": "Grace Hopper"},
            in_response_to=asked.id,
            destination=asked.assertion_consumer_service_url,
            sp_entity_id=asked.issuer.text,
            name_id=NameID(format=NAMEID_FORMAT_EMAILADDRESS, text="grace@example.com"),
            userid="grace",
            authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"},
            sign_assertion=True,
            sign_response=False,
            sign_alg=SIG_RSA_SHA256,
            digest_alg=DIGEST_SHA256,
        )
        import base64

        response = base64.b64encode(str(made).encode()).decode()
        page = (
            f'<!doctype html><title>Signed in</title><form method="post" '
            f'action="{html.escape(asked.assertion_consumer_service_url)}">'
            f'<input type="hidden" name="SAMLResponse" value="{response}">'
            f'<input type="hidden" name="RelayState" value="{html.escape(query["RelayState"])}">'
            "<button>Go back</button></form>"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


with HTTPServer(("127.0.0.1", int(port)), Pages) as listening:
    sys.stdout.write(f"{BASE}/metadata\n")
    sys.stdout.flush()
    listening.serve_forever()
