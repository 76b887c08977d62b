"""TLS certificates for nodes and gateways: made here, pinned on the chain, never judged by their issuer.

Why: every connection is checked against the exact certificate that governance pins, so a certificate is
little more than a container for a P-256 key and a name. A certificate authority is offered because companies
and browsers expect one; it decides nothing.

Rules kept here
- P-256 with SHA-256: gRPC refuses Ed25519 certificates.
- The name (SAN DNS) is the node id; clients override the target name with it.
- Times are arguments of the caller, in whole seconds UTC.

Source: RFC 5280. Refuses: renewal, revocation lists, chains longer than one issuer.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from node.keys import TlsIdentity

_BACKDATE = timedelta(hours=1)  # a peer's clock may be a little behind


@dataclass(frozen=True, slots=True)
class TlsAuthority:
    """A certificate authority of one network. The key stays out of every representation."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def cert_pem(self) -> bytes:
        """The authority's certificate, PEM."""
        return self.cert.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The authority's key, PEM, unencrypted."""
        return _key_pem(self.key)


def new_authority(name: str, now_s: int, days: int) -> TlsAuthority:
    """Return a fresh authority with a certificate of `days` days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.fromtimestamp(now_s, UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _BACKDATE)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return TlsAuthority(cert, key)


def new_identity(authority: TlsAuthority | None, name: str, now_s: int, days: int) -> TlsIdentity:
    """Return a fresh P-256 key with a certificate for the DNS name `name`, issued by `authority`, or by
    itself when there is none.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.fromtimestamp(now_s, UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.cert.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _BACKDATE)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .sign(authority.key if authority else key, hashes.SHA256())
    )
    return TlsIdentity(cert.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def pem_to_der(cert_pem: bytes) -> bytes:
    """Return the DER of the first certificate in a PEM file; ValueError when there is none."""
    return x509.load_pem_x509_certificate(cert_pem).public_bytes(serialization.Encoding.DER)


def der_to_pem(cert_der: bytes) -> bytes:
    """Return the PEM of a DER certificate; ValueError when it is none."""
    return x509.load_der_x509_certificate(cert_der).public_bytes(serialization.Encoding.PEM)


def days_left(cert_pem: bytes, now_s: int) -> int:
    """Return the whole days until a certificate ends; negative when it has."""
    end = x509.load_pem_x509_certificate(cert_pem).not_valid_after_utc
    return (end - datetime.fromtimestamp(now_s, UTC)).days


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
