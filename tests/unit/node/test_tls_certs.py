"""TLS certificates: P-256, named, pinned by their exact bytes."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from node.tls_certs import days_left, der_to_pem, new_authority, new_identity, pem_to_der

NOW_S = 1_795_000_000


def test_an_identity_is_p256_and_carries_its_name() -> None:
    """The name is where clients look for it: in the subject's alternative names."""
    identity = new_identity(new_authority("CA", NOW_S, 10), "broker-1", NOW_S, 5)
    cert = x509.load_pem_x509_certificate(identity.cert_pem)
    key = cert.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker-1"]
    assert b"PRIVATE KEY" in identity.key_pem


def test_the_authority_has_signed_it() -> None:
    """And a certificate without an authority has signed itself."""
    authority = new_authority("CA", NOW_S, 10)
    issued = x509.load_pem_x509_certificate(new_identity(authority, "a", NOW_S, 5).cert_pem)
    issued.verify_directly_issued_by(authority.cert)
    own = x509.load_pem_x509_certificate(new_identity(None, "a", NOW_S, 5).cert_pem)
    own.verify_directly_issued_by(own)
    with pytest.raises(ValueError, match="Issuer"):
        own.verify_directly_issued_by(authority.cert)


def test_pem_and_der_are_the_same_certificate() -> None:
    """What is pinned (DER) and what lies in a file (PEM) correspond."""
    identity = new_identity(None, "a", NOW_S, 5)
    assert der_to_pem(pem_to_der(identity.cert_pem)) == identity.cert_pem
    with pytest.raises(ValueError, match=r"."):
        pem_to_der(b"nothing")


def test_days_left_count_down_to_the_end_and_below() -> None:
    """An alarm can be built on it."""
    cert = new_identity(None, "a", NOW_S, 5).cert_pem
    assert days_left(cert, NOW_S) == 5
    assert days_left(cert, NOW_S + 6 * 86_400) == -1


def test_authority_keys_stay_out_of_representations() -> None:
    """An authority in a traceback shows no key."""
    authority = new_authority("CA", NOW_S, 10)
    assert "key=" not in repr(authority)
    assert b"CERTIFICATE" in authority.cert_pem
    assert b"PRIVATE KEY" in authority.key_pem
