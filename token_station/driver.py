"""What the station asks of a token, whatever its make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager


class TokenError(XuqiError):
    """
    The token did not do what was asked.
    """


class PinWrongError(TokenError):
    """
    The PIN is wrong; ``left`` tries remain.
    """

    def __init__(self, left: int) -> None:
        super().__init__(f"the PIN is wrong, {left} tries left")
        self.left = left


class PinBlockedError(TokenError):
    """
    No try is left; only the unblocking code helps.
    """


class LastTryError(TokenError):
    """
    One try is left and nobody has released it: nothing was sent to the token.
    """


class BadPinFormatError(TokenError):
    """
    The PIN cannot be one of this token (length, characters): nothing was sent to the token.
    """


class NotAuthorizedError(TokenError):
    """
    The management key is wrong or missing.
    """


class NoFreePlaceError(TokenError):
    """
    Every place holds a certificate that must be kept.
    """


class CardRemovedError(TokenError):
    """
    The token was pulled; the session is dead, a new one must be opened.
    """


class OtherCardError(TokenError):
    """
    Another token is in the reader now.
    """


class TooLargeError(TokenError):
    """
    The certificate does not fit; nothing was sent to the token.
    """


class ReadBackError(TokenError):
    """
    What was read back is not what was written.
    """


class KeyMismatchError(TokenError):
    """
    The certificate's key is not the key in that place; nothing was written.
    """


class UnsupportedError(TokenError):
    """
    This token cannot do that.
    """


class PukWrongError(PinWrongError):
    """
    The unblocking code is wrong; ``left`` tries of it remain.
    """

    def __init__(self, left: int) -> None:
        TokenError.__init__(self, f"the unblocking code is wrong, {left} tries left")
        self.left = left


class PukBlockedError(PinBlockedError):
    """
    No try of the unblocking code is left: the token must be exchanged.
    """


class MalformedAnswerError(TokenError):
    """
    The token's answer breaks the standard; nothing is concluded from it.
    """


class CardError(TokenError):
    """
    The token answered with a status word that nothing else covers.
    """

    def __init__(self, doing: str, status: int) -> None:
        super().__init__(f"{doing}: the token answered {status:04X}")
        self.status = status


class Transport(Protocol):
    """
    One card in one reader. By PC/SC or in process.
    """

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        """
        Send one command APDU; return the response data and the status word.

        Raises:
            CardRemovedError: the card is gone.
        """
        ...


@runtime_checkable
class SharedTransport(Transport, Protocol):
    """
    A card that other programs reach too, as by PC/SC.
    """

    def exclusive(self) -> AbstractContextManager[None]:
        """
        Let no other program's command come in between; held for VERIFY and its use, no longer.
        """
        ...


class Reader(Protocol):
    name: str

    def connect(self) -> Transport | None:
        """
        Return a fresh connection to the card in the reader, or ``None`` if there is none.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TokenInfo:
    kind: str  #: for instance "PIV"
    serial: str  #: how a token is known; never by its reader
    tries_left: int | None  #: None when the token does not tell
    places: tuple[str, ...]  #: in the order in which they are used, e.g. ("9C", "9A")


@dataclass(frozen=True, kw_only=True)
class TokenCertificate:
    place: str
    der: bytes


class TokenSession(Protocol):
    """
    One visit to one token; dead once the token is pulled.
    """

    def info(self) -> TokenInfo: ...

    def certificates(self) -> tuple[TokenCertificate, ...]: ...

    def tries_left(self) -> int | None:
        """
        Return the tries that the PIN has left; ``None`` where the token does not tell.
        """
        ...

    def assert_serial(self, serial: str) -> None:
        """
        Read the serial again and compare.

        Raises:
            OtherCardError: it is another token.
        """
        ...

    def verify_pin(self, pin: str, *, last_try_released: bool = False) -> None:
        """
        Try the PIN once.

        Raises:
            PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError.
        """
        ...

    def choose_place(self, *, keep: Collection[bytes]) -> str:
        """
        Return a place that holds none of the certificates (DER) to be kept.

        Raises:
            NoFreePlaceError
        """
        ...

    def generate(self, place: str, algorithm: str) -> bytes:
        """
        Make a new key there, destroying the one before; return the public key (SPKI, DER).
        """
        ...

    def public_key(self, place: str) -> bytes | None:
        """
        Return the public key of a place (SPKI, DER) where the token can tell, else ``None``.
        """
        ...

    def find_key(self, place: str, algorithm: str, *, pin: str) -> bytes | None:
        """
        Find out which key (SPKI, DER) of that kind is in the place; ``None`` if there is none.
        """
        ...

    def remember_key(self, place: str, public_key: bytes) -> None:
        """
        Tell the session which key (SPKI, DER) an earlier session made in that place.

        It is taken as a claim: a signature that does not verify with it is an error.
        """
        ...

    def sign(self, place: str, data: bytes, *, pin: str, last_try_released: bool = False) -> bytes:
        """
        Sign with SHA-256: ECDSA as DER, RSA as PKCS#1 v1.5.

        The PIN is verified by the command right before, once.

        Raises:
            PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError,
            KeyMismatchError: the signature does not verify with the key known of that place.
        """
        ...

    def write_certificate(self, place: str, der: bytes, *, pin: str | None = None) -> None:
        """
        Write, and return only once it has been read back and equals what was written.

        With ``pin`` the key in that place first signs a challenge which must verify with the
        certificate; without, the key must be known to the session.

        Raises:
            TooLargeError, KeyMismatchError, ReadBackError, CardRemovedError.
        """
        ...

    def read_certificate(self, place: str) -> bytes | None: ...

    def change_pin(self, old: str, new: str, *, last_try_released: bool = False) -> None:
        """
        Replace the PIN; both are checked for length and characters before the token sees them.
        """
        ...

    def unblock_pin(self, puk: str, new: str, *, last_try_released: bool = False) -> None:
        """
        Set a new PIN with the unblocking code, which is tried once.
        """
        ...
