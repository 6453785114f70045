"""Time stamps of a third party (RFC 3161) as the library speaks them: how one is asked for, and when one holds.

The library is an extra (requirements-tsa.txt): without it nothing is asked for, and what was kept is not checked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from . import der

try:
    import rfc3161_client as rfc3161
except ImportError:
    rfc3161 = None  # type: ignore[assignment]

INSTALL = "pip install --require-hashes -r requirements-tsa.txt"
GRANTED = 0
Certificates = Sequence[x509.Certificate]


class StampError(RuntimeError):
    """There is no time stamp, or it does not hold; the sentence says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is sent to an authority (DER), and the number that has to come back with its answer."""

    der: bytes
    nonce: int | None


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What an authority vouches for: that a text was there at this moment; `authority` is its certificate's subject."""

    at: datetime
    authority: str
    serial: int

    def __str__(self) -> str:
        return f"by {self.authority} at {self.at:%Y-%m-%d %H:%M:%S} UTC"


def cannot_check(file: str) -> str:
    """Return why no stamp can be checked against the certificates in a file; empty when they can."""
    try:
        _require_installed()
        certificates(file)
    except StampError as error:
        return str(error)
    return ""


def certificates(file: str) -> Certificates:
    """Return the certificates in a file (PEM) that are trusted; raise StampError for a file without one."""
    if not file:
        raise StampError("GR_TSA_CA_FILE names no certificates to check them against")
    try:
        return x509.load_pem_x509_certificates(Path(file).read_bytes())
    except OSError as error:
        raise StampError(f"GR_TSA_CA_FILE {file} cannot be read ({error.strerror})")
    except ValueError:
        raise StampError(f"GR_TSA_CA_FILE {file} holds no certificate in PEM")


def query(text: str) -> Query:
    """Return the request for a time stamp over a text; raise StampError without the library."""
    _require_installed()
    builder = rfc3161.TimestampRequestBuilder().data(text.encode("utf-8"))
    request = builder.hash_algorithm(rfc3161.HashAlgorithm.SHA256).build()  # with a nonce, and for a certificate
    return Query(der=request.as_bytes(), nonce=request.nonce)


def check(answer: bytes, text: str, *, trusted: Certificates, nonce: int | None = None) -> Stamp:
    """Return what an authority's answer (DER) vouches for.

    It must be granted, over this very text, signed by a certificate for time stamps that one of the `trusted` ones
    vouches for at that moment, and answer the query with the `nonce`, if there is one. Raises StampError.
    """
    _require_installed()
    try:
        told = rfc3161.decode_timestamp_response(der.with_sorted_certificates(answer))
        if told.status != GRANTED:
            raise StampError(f"the authority granted none: {'; '.join(told.status_string) or f'status {told.status}'}")
        verifier = rfc3161.VerifierBuilder(roots=list(trusted), nonce=nonce).build()
        verifier.verify_message(told, text.encode("utf-8"))
        at = told.tst_info.gen_time
        signer = next(iter(told.signed_data.signer_infos))
        held = [x509.load_der_x509_certificate(one) for one in told.signed_data.certificates]
        who = next(one for one in held if (one.issuer, one.serial_number) == (signer.issuer, signer.serial_number))
        return Stamp(at=at.astimezone(UTC), authority=_name(who), serial=told.tst_info.serial_number)
    except (ValueError, TypeError, StopIteration, rfc3161.VerificationError) as error:
        raise StampError(f"it does not hold: {error}")


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _require_installed() -> None:
    if rfc3161 is None:
        raise StampError(f"the library for time stamps is not installed ({INSTALL})")
