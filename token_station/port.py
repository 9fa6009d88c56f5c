"""The port to a token, whatever its make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager
    from datetime import datetime

    from renewal.rules.token_keys import WriteKeys
    from token_station.trust_anchors import TrustAnchors


class Transport(Protocol):
    """One card in one reader. By PC/SC or in process."""

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        """
        Send one command APDU; return the response data and the status word.

        Raises:
            CardRemovedError: the card is gone.
        """
        ...


@runtime_checkable
class SharedTransport(Transport, Protocol):
    """A card that other programs reach too, as by PC/SC."""

    def exclusive(self) -> AbstractContextManager[None]:
        """
        Let no other program's command come in between; held for VERIFY and its use, no longer.
        """
        ...

    def lent(self) -> AbstractContextManager[None]:
        """Let other programs at the card, while a person or the network is waited for."""
        ...


@runtime_checkable
class SharedReader(Protocol):
    """A reader that other programs use too."""

    def release(self) -> None:
        """Give the token back, with no PIN verified."""
        ...


class TokenProofs(Protocol):
    """What a token can prove of itself, by keys that cannot be copied to another one."""

    def check(self, in_force: tuple[str, bytes] | None) -> None:
        """
        ``in_force``: the place and the certificate (DER) of the key that the token is known by.

        Raises:
            NotGenuineError: a copy, or a token that nobody vouches for.
        """
        ...

    def check_made(self, key_slot: str, spki: bytes) -> None:
        """
        Raises:
            NotGenuineError: the key there was not made on this token.
        """
        ...


@runtime_checkable
class ProvesItself(Protocol):
    """A session, or a blank token, that can tell more of itself than its serial."""

    def authenticity(self, anchors: TrustAnchors, now: datetime) -> TokenProofs: ...


class BlankTokenSteps(Protocol):
    """
    A token that nobody uses yet, and the steps that make it one of ours; each may be repeated.
    """

    @property
    def serial(self) -> str:
        """Return the serial that it has, or is to have."""
        ...

    def refuse_used(self) -> None:
        """
        Look whether the token is blank; nothing is tried that has a counter, nothing changed.

        Raises:
            NotBlankError: it is somebody's.
        """
        ...

    def give_serial(self) -> None: ...

    def set_management_key(self) -> None:
        """
        Raises:
            UnsupportedError: the maker's key would stay in force.
        """
        ...

    def has_serial(self) -> bool:
        """Say whether the token tells the serial that it is to have."""
        ...

    def set_puk(self, *, attempt: int = 1, last_try_released: bool = False) -> None:
        """
        Replace the maker's unblocking code. ``attempt``: from 2 on an earlier answer was lost.

        Raises:
            PukWrongError, PukBlockedError: the token has a code that is neither.
        """
        ...


@runtime_checkable
class EnrolsTokens(Protocol):
    """A reader, reached by a module, whose blank tokens can be prepared."""

    def open_blank(self, serial: str, write_keys: WriteKeys) -> BlankTokenSteps: ...


class TokenReader(Protocol):
    name: str

    def connect(self) -> Transport | None:
        """Return a fresh connection to the card in the reader, or ``None`` if there is none."""
        ...


@runtime_checkable
class OpensTokens(Protocol):
    """A reader whose tokens are not reached by single commands, but by their maker's module."""

    name: str

    def open_token(self, write_keys: WriteKeys) -> TokenSession: ...


@dataclass(frozen=True, kw_only=True)
class TokenInfo:
    kind: str  #: for instance "PIV"
    serial: str  #: how a token is known; never by its reader
    tries_left: int | None  #: None when the token does not tell
    key_slots: tuple[str, ...]  #: in the order in which they are used, e.g. ("9C", "9A")


@dataclass(frozen=True, kw_only=True)
class TokenCertificate:
    key_slot: str
    der: bytes


class TokenSession(Protocol):
    """One visit to one token; dead once the token is pulled."""

    @property
    def serial(self) -> str: ...

    def info(self) -> TokenInfo: ...

    def lent(self) -> AbstractContextManager[None]:
        """
        Let other programs use the token while a person is asked.

        Raises:
            CardRemovedError, OtherCardError: it is not there any more afterwards.
        """
        ...

    def unreadable(self) -> tuple[str, ...]:
        """Return the places that hold something which is no certificate."""
        ...

    def certificates(self) -> tuple[TokenCertificate, ...]: ...

    def tries_left(self) -> int | None:
        """Return the tries that the PIN has left; ``None`` where the token does not tell."""
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

    def choose_key_slot(self, *, keep: Collection[bytes]) -> str:
        """
        Return a place that holds none of the certificates (DER) to be kept.

        Raises:
            NoFreePlaceError
        """
        ...

    def generate(self, key_slot: str, algorithm: str) -> bytes:
        """Make a new key there, destroying the one before; return the public key (SPKI, DER)."""
        ...

    def public_key(self, key_slot: str) -> bytes | None:
        """Return the public key of a place (SPKI, DER) where the token can tell, else ``None``."""
        ...

    def find_key(self, key_slot: str, algorithm: str, *, pin: str) -> bytes | None:
        """
        Find out which key (SPKI, DER) of that kind is in the place; ``None`` if there is none.
        """
        ...

    def holds_key(self, key_slot: str, *, pin: str) -> bool:
        """Say whether there is a key in the place where ``find_key`` has found none."""
        ...

    def remember_puk_tries(self, left: int | None) -> None:
        """Tell the session what the token said of its unblocking code in an earlier one."""
        ...

    def remember_key(self, key_slot: str, public_key: bytes) -> None:
        """
        Tell the session which key (SPKI, DER) an earlier session made in that place.

        It is taken as a claim: a signature that does not verify with it is an error.
        """
        ...

    def sign(
        self, key_slot: str, data: bytes, *, pin: str, last_try_released: bool = False
    ) -> bytes:
        """
        Sign with SHA-256: ECDSA as DER, RSA as PKCS#1 v1.5.

        The PIN is verified by the command right before, once.

        Raises:
            PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError,
            KeyMismatchError: the signature does not verify with the key known of that place.
        """
        ...

    def write_certificate(self, key_slot: str, der: bytes, *, pin: str | None = None) -> None:
        """
        Write, and return only once it has been read back and equals what was written.

        With ``pin`` the key in that place first signs a challenge which must verify with the
        certificate; without, the key must be known to the session.

        Raises:
            TooLargeError, KeyMismatchError, ReadBackError, CardRemovedError.
        """
        ...

    def read_certificate(self, key_slot: str) -> bytes | None: ...

    def change_pin(self, old: str, new: str, *, last_try_released: bool = False) -> None:
        """
        Replace the PIN; both are checked for length and characters before the token sees them.
        """
        ...

    def set_first_pin(self, pin: str) -> None:
        """
        Set the PIN of a prepared token, whatever it was; no try of any PIN is spent.

        Raises:
            BadPinFormatError: nothing was sent to the token.
        """
        ...

    def unblock_pin(self, puk: str, new: str, *, last_try_released: bool = False) -> None:
        """Set a new PIN with the unblocking code, which is tried once."""
        ...
