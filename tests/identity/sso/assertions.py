"""SAML answers as an identity provider writes them, good and forged. Signing is xmlsec's."""

from __future__ import annotations

import base64
import copy
import importlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from penguinmails_core.kit.clock import utcnow

xmlsec: Any = importlib.import_module("xmlsec")  # its own types leave out half of it

SAML, SAMLP = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
NS = {"saml": SAML, "samlp": SAMLP, "ds": DS}
ISSUER = "https://idp.acme.example/metadata"
_SHA1 = (xmlsec.Transform.RSA_SHA1, xmlsec.Transform.SHA1)
_SHA256 = (xmlsec.Transform.RSA_SHA256, xmlsec.Transform.SHA256)


@dataclass(frozen=True)
class Signer:
    """A key and its certificate, both in PEM."""

    key: bytes
    certificate: str

    @classmethod
    def new(cls) -> Signer:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(utcnow() - timedelta(days=1))
            .not_valid_after(utcnow() + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(pem, certificate.public_bytes(Encoding.PEM).decode())


IDP, FOREIGN = Signer.new(), Signer.new()


def moment(minutes: float) -> str:
    return (utcnow() + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Answer:
    """What the provider says. Empty texts leave the element or attribute out."""

    request_id: str
    acs: str
    audience: str
    issuer: str = ISSUER
    subject: str = "ada@example.com"
    name_format: str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
    destination: str | None = None
    recipient: str | None = None
    response_to: str | None = None  # of the unsigned Response
    assertion_id: str = "_assertion"
    not_on_or_after: str = field(default_factory=lambda: moment(5))
    conditions: bool = True
    doctype: str = ""
    signer: Signer | None = field(default_factory=lambda: IDP)
    sign_response: bool = False
    algorithms: tuple[Any, Any] = _SHA256

    def xml(self) -> str:
        def attribute(name: str, value: str) -> str:
            return f' {name}="{value}"' if value else ""

        destination = self.acs if self.destination is None else self.destination
        recipient = self.acs if self.recipient is None else self.recipient
        response_to = self.request_id if self.response_to is None else self.response_to
        audience = (
            f"<saml:AudienceRestriction><saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction>"
        )
        conditions = (
            f'<saml:Conditions NotBefore="{moment(-5)}" NotOnOrAfter="{self.not_on_or_after}">'
            f"{audience if self.audience else ''}</saml:Conditions>"
        )
        return (
            f'{self.doctype}<samlp:Response xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_response" Version="2.0" '
            f'IssueInstant="{moment(0)}"{attribute("Destination", destination)}'
            f"{attribute('InResponseTo', response_to)}><saml:Issuer>{self.issuer}</saml:Issuer>"
            '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'
            f'<saml:Assertion ID="{self.assertion_id}" Version="2.0" IssueInstant="{moment(0)}">'
            f"<saml:Issuer>{self.issuer}</saml:Issuer>"
            f'<saml:Subject><saml:NameID Format="{self.name_format}">{self.subject}</saml:NameID>'
            '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData'
            f"{attribute('InResponseTo', self.request_id)}{attribute('Recipient', recipient)}"
            f"{attribute('NotOnOrAfter', self.not_on_or_after)}/></saml:SubjectConfirmation></saml:Subject>"
            f"{conditions if self.conditions else ''}"
            f'<saml:AuthnStatement AuthnInstant="{moment(0)}" SessionIndex="_s"><saml:AuthnContext>'
            "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>"
            "</saml:AuthnContext></saml:AuthnStatement>"
            '<saml:AttributeStatement><saml:Attribute Name="displayName"><saml:AttributeValue>Ada Lovelace'
            "</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>"
        )

    def tree(self) -> Any:
        """Signed as the provider signs."""
        text = self.xml()
        if self.doctype:
            return text
        root = etree.fromstring(text)
        if self.signer is not None:
            target = root if self.sign_response else root.find("saml:Assertion", NS)
            sign(target, self.signer, self.algorithms)
        return root

    def encoded(self) -> str:
        return encode(self.tree())


def encode(root: Any) -> str:
    data = root.encode() if isinstance(root, str) else etree.tostring(root)
    return base64.b64encode(data).decode()


def sign(element: Any, signer: Signer, algorithms: tuple[Any, Any] = _SHA256, *, with_certificate: bool = True) -> None:
    signature = xmlsec.template.create(element, xmlsec.Transform.EXCL_C14N, algorithms[0], ns="ds")
    element.insert(1, signature)  # after the Issuer
    reference = xmlsec.template.add_reference(signature, algorithms[1], uri="#" + element.get("ID"))
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    if with_certificate:
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(signer.key, xmlsec.constants.KeyDataFormatPem)
    context.key.load_cert_from_memory(signer.certificate.encode(), xmlsec.constants.KeyDataFormatPem)
    context.register_id(element, "ID", None)
    context.sign(signature)


def wrapped(answer: Answer, number: int) -> Any:
    """XML signature wrapping 1 to 8: the signed element is moved aside and a forged one stands where readers look
    (Somorovsky and others, On Breaking SAML, 2012). 1 and 2 are of a signed Response, the others of an assertion."""
    if number <= 2:
        answer.sign_response = True
    root = answer.tree()
    original = copy.deepcopy(root)
    if number <= 2:
        signature = root.find("ds:Signature", NS)
        detached = copy.deepcopy(signature)
        original.remove(original.find("ds:Signature", NS))
        root.set("ID", "_evil")
        if number == 1:
            signature.append(original)
        else:
            root.insert(1, original)
            root.replace(signature, detached)
        _become_eve(root.find("saml:Assertion", NS))
        return root
    signed = root.find("saml:Assertion", NS)
    forged = copy.deepcopy(signed)
    forged.set("ID", "_evil")
    _become_eve(forged)
    bare = copy.deepcopy(signed)
    bare.remove(bare.find("ds:Signature", NS))
    signature = forged.find("ds:Signature", NS)
    index = root.index(signed)
    if number == 3:  # the forged one first, beside
        forged.remove(signature)
        root.insert(index, forged)
    elif number == 4:  # the signed one inside of the forged one
        forged.remove(signature)
        root.replace(signed, forged)
        forged.append(signed)
    elif number == 5:  # the forged one keeps the signature, the signed one comes last
        root.replace(signed, forged)
        root.append(bare)
    elif number == 6:  # as 5, the signed one inside of the signature
        root.replace(signed, forged)
        signature.append(bare)
    elif number == 7:  # beside an Extensions element that holds the forged one
        forged.remove(signature)
        extensions = etree.Element(f"{{{SAMLP}}}Extensions")
        extensions.append(forged)
        root.insert(1, extensions)
    else:  # 8: the signed one in an Object of the signature of the forged one
        root.replace(signed, forged)
        holder = etree.SubElement(signature, f"{{{DS}}}Object")
        holder.append(bare)
    return root


def _become_eve(assertion: Any) -> None:
    assertion.find("saml:Subject/saml:NameID", NS).text = "eve@example.com"


SHA1 = _SHA1
