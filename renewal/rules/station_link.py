"""Signs what goes between a station and the centre: requests by the one, jobs by the other."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.errors import XuqiError
from renewal.rules.statements import PUBLIC_BYTES
from schema.codec import encode
from schema.events import SignedTokenJob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from renewal.secret import Secret

#: Each says what is signed, so that no signature made for one is a signature for another.
REQUEST: Final = b"xuqi station request v1\0"
JOBS: Final = b"xuqi centre jobs v1\0"
JOB: Final = b"xuqi centre job v3\0"
#: Between a station's clock and ours; a nonce is remembered for longer than that.
FRESH: Final = timedelta(minutes=5)
LEAST_NONCE: Final = 16  #: characters
MAX_SIGNATURES: Final = 8

Job = TypeVar("Job", bound=SignedTokenJob)


class LinkError(XuqiError):
    """
    What came is not what the other side has signed; the text says why.
    """


class SignedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a station's signature covers: nothing of a request can be exchanged for something else.
    """

    station: str
    method: str
    target: str
    nonce: str
    at: datetime
    body_sha256: str

    def signature(self, key: Ed25519PrivateKey) -> str:
        return base64.b64encode(key.sign(REQUEST + msgspec.json.encode(self))).decode()

    def check(self, signature: str, public: bytes, *, now: datetime) -> None:
        """
        Raises:
            LinkError
        """
        _verify(public, signature, REQUEST + msgspec.json.encode(self))
        if abs(now - self.at) > FRESH:
            raise LinkError("the request is too old, or the station's clock is wrong")
        if len(self.nonce) < LEAST_NONCE:
            raise LinkError("the request's nonce is too short")


class EnrolmentRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A station asks to be known by its key; the code says that its branch may."""

    branch: str
    public_key: str  #: Ed25519, raw, base64
    code: str

    @property
    def public(self) -> bytes:
        """
        Raises:
            LinkError: it is no public key.
        """
        try:
            raw = base64.b64decode(self.public_key, validate=True)
        except binascii.Error as error:
            raise LinkError("the public key is not base64") from error
        if len(raw) != PUBLIC_BYTES:
            raise LinkError("the public key is too long or too short")
        return raw


def code_hash(code: str) -> bytes:
    """What is kept of a code, however its letters are typed."""
    plain = "".join(sign for sign in code.upper() if sign.isalnum())
    return hashlib.sha256(b"xuqi station code v1\0" + plain.encode()).digest()


def body_hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def jobs_signature(key: Ed25519PrivateKey, *, station: str, nonce: str, body: bytes) -> str:
    """
    The centre's signature over jobs for one station, in answer to one request: neither another
    station nor a later request takes them.
    """
    return base64.b64encode(key.sign(_jobs(station, nonce, body))).decode()


def check_jobs(signatures: str, public: bytes, *, station: str, nonce: str, body: bytes) -> None:
    """
    Check that one of the signatures is the centre's: it signs with each key that it still has.

    Raises:
        LinkError
    """
    _verify_one_of(signatures, public, _jobs(station, nonce, body))


def signed_job(job: Job, keys: Iterable[Ed25519PrivateKey]) -> Job:
    """
    The job as it lies on the log, signed with each key that a station may know the centre by:
    whoever may write to the log is not therefore the centre.
    """
    each = (base64.b64encode(key.sign(_job(job))).decode() for key in keys)
    return msgspec.structs.replace(job, centre_signature=",".join(each))


def check_job(job: SignedTokenJob, public: bytes) -> None:
    """
    Check that the centre has signed every field of it.

    Raises:
        LinkError
    """
    _verify_one_of(job.centre_signature, public, _job(job))


def public_of(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def centre_key(stations_key: Secret) -> Ed25519PrivateKey:
    """
    The key by which the centre signs jobs; it follows from the secret that it keeps of stations.
    """
    seed = hmac.new(stations_key.value, b"xuqi centre jobs key v1", hashlib.sha256).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def _jobs(station: str, nonce: str, body: bytes) -> bytes:
    return JOBS + f"{station}\0{nonce}\0".encode() + body


def _job(job: SignedTokenJob) -> bytes:
    return JOB + encode(msgspec.structs.replace(job, centre_signature=""))


def _verify_one_of(signatures: str, public: bytes, data: bytes) -> None:
    each = signatures.split(",")[:MAX_SIGNATURES]
    for signature in each[:-1]:
        with suppress(LinkError):
            _verify(public, signature, data)
            return
    _verify(public, each[-1], data)


def _verify(public: bytes, signature: str, data: bytes) -> None:
    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(raw, data)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise LinkError("the signature does not verify") from error
