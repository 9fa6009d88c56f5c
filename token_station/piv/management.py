"""Mutual authentication with the management key (NIST SP 800-73-4 part 2, A.1)."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from token_station.errors import MalformedAnswerError, NotAuthorizedError, UnsupportedError
from token_station.piv.apdu import OK, CardChannel, Command, inside, tlv

KEY = 0x9B
TRIPLE_DES, AES_128, AES_192, AES_256 = 0x03, 0x08, 0x0A, 0x0C
#: NIST SP 800-78-4, table 6-2. Asking a card for a witness by the wrong one spends nothing.
ALGORITHMS = {16: (AES_128,), 24: (TRIPLE_DES, AES_192), 32: (AES_256,)}


@dataclass(frozen=True)
class ManagementCipher:
    """The block cipher of a management key, one block at a time."""

    algorithm: int
    key: bytes

    @property
    def block(self) -> int:
        return 8 if self.algorithm == TRIPLE_DES else 16

    def encrypt(self, block: bytes) -> bytes:
        return self._cipher().encryptor().update(block)

    def decrypt(self, block: bytes) -> bytes:
        return self._cipher().decryptor().update(block)

    def __repr__(self) -> str:
        return f"ManagementCipher({self.algorithm:02X})"

    def _cipher(self) -> Cipher[modes.ECB]:
        kind = TripleDES if self.algorithm == TRIPLE_DES else algorithms.AES
        return Cipher(kind(self.key), modes.ECB())  # noqa: S305 - one random block, as the standard has it # nosec B305


SET_KEY = 0xFF  #: of YubiKeys and of those that follow them; the standard has none


def set_key(channel: CardChannel, algorithm: int, key: bytes) -> None:
    """
    Replace the management key; the one before must have authenticated.

    Raises:
        UnsupportedError: the token cannot.
    """
    data = bytes([algorithm, KEY, len(key)]) + key
    _, status = channel.send(Command(ins=SET_KEY, p1=0xFF, p2=0xFF, data=data))
    if status != OK:
        raise UnsupportedError(f"the token takes no other management key ({status:04X})")


def authenticate(channel: CardChannel, key: bytes) -> int:
    """
    Authenticate both ways; return the algorithm that the token has its key for.

    Raises:
        NotAuthorizedError: the key is wrong for this card, or the card does not know it.
    """
    cipher, witness = _witness(channel, key)
    challenge = secrets.token_bytes(cipher.block)
    data = tlv(0x7C, tlv(0x80, cipher.decrypt(witness)) + tlv(0x81, challenge))
    answer, status = channel.send(_command(cipher.algorithm, data))
    if status != OK:
        raise NotAuthorizedError(f"the token refused the management key ({status:04X})")
    if not hmac.compare_digest(inside(answer, 0x7C, 0x82), cipher.encrypt(challenge)):
        raise NotAuthorizedError("the token does not know the management key: is it ours?")
    return cipher.algorithm


def _witness(channel: CardChannel, key: bytes) -> tuple[ManagementCipher, bytes]:
    status = 0
    for algorithm in ALGORITHMS.get(len(key), ()):
        cipher = ManagementCipher(algorithm, key)
        answer, status = channel.send(_command(algorithm, tlv(0x7C, tlv(0x80, b""))))
        if status == OK:
            witness = inside(answer, 0x7C, 0x80)
            if len(witness) != cipher.block:
                raise MalformedAnswerError("the token's witness has the wrong length")
            return cipher, witness
    raise NotAuthorizedError(
        f"the token takes no management key of {len(key)} bytes ({status:04X})"
    )


def _command(algorithm: int, data: bytes) -> Command:
    return Command(ins=0x87, p1=algorithm, p2=KEY, data=data, answers=True)
