"""The secrets of one installation, each for one purpose, each with numbers so that it rotates."""

from __future__ import annotations

import hashlib
import hmac
import time
from functools import cached_property
from typing import TYPE_CHECKING, Final

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from renewal.secret import Secret

    Ring = Mapping[int, Secret]

#: What each installation makes for itself.
KEY_NAMES: Final = (
    "columns",  # seals personal data
    "codes",  # seals the secret of each one-time code until it is sent
    "pepper",  # of the fingerprints of codes; never the same as ``codes``
    "stations",  # from it each branch's key is derived
    "tokens",  # from it each token's management key is derived
    "ca",  # the passphrase of the embedded CA's keys
    "mail",  # signs the return addresses of mail
    "audit",  # chains the audit trail
)
#: Seconds after which a running process reads the files anew, and so learns of a new key.
READ_ANEW_AFTER: Final = 30.0
#: Before audit.key there was one that follows from the column key: it keeps this number.
BEFORE_AUDIT_KEY: Final = 0
#: The key of look-up hashes and that one, written down so that the column key can be replaced.
_WRITTEN_OUT = b"hex:"


def derived(secret: Secret, purpose: str) -> bytes:
    return hmac.new(secret.value, purpose.encode(), hashlib.sha256).digest()


def written_out(key: bytes) -> bytes:
    """As the file of a key holds bytes that are no text."""
    return _WRITTEN_OUT + key.hex().encode()


def _read_back(secret: Secret) -> bytes:
    return bytes.fromhex(secret.value.removeprefix(_WRITTEN_OUT).decode("ascii"))


class Keys:
    """
    The secrets, each read when it is first needed: a component needs its own and no other.

    ``read`` gives the numbered keys of a name, and raises when there is none; ``kept`` gives those
    of a name that an installation may be without.
    """

    def __init__(
        self, read: Callable[[str], Ring], kept: Callable[[str], Ring] = lambda _name: {}
    ) -> None:
        self._read = read
        self._kept = kept
        self._rings: dict[str, tuple[float, Ring]] = {}

    def __repr__(self) -> str:
        return "Keys(***)"

    def ring(self, name: str, *, anew: bool = False) -> Ring:
        """
        Every key of that name, by its number; ``anew``: as the files are now.

        Raises:
            XuqiError: there is none, or it is none.
        """
        read_at, ring = self._rings.get(name, (0.0, {}))
        now = time.monotonic()
        if anew or not ring or now - read_at > READ_ANEW_AFTER:
            ring = self._read(name)
            self._rings[name] = now, ring
        return ring

    def has(self, name: str) -> bool:
        return bool(self._kept(name))

    def newest(self, name: str) -> Secret:
        ring = self.ring(name)
        return ring[max(ring)]

    @property
    def columns(self) -> Secret:
        return self.newest("columns")

    @property
    def codes(self) -> Secret:
        return self.newest("codes")

    @property
    def pepper(self) -> Secret:
        return self.newest("pepper")

    @property
    def stations(self) -> Secret:
        return self.newest("stations")

    @property
    def tokens(self) -> Secret:
        return self.newest("tokens")

    @property
    def ca(self) -> Secret:
        return self.newest("ca")

    @property
    def mail(self) -> Secret:
        return self.newest("mail")

    def of_mail(self) -> Collection[bytes]:
        """What has signed return addresses: mail under an older key may still bounce."""
        return [key.value for key in self.ring("mail").values()]

    @cached_property
    def lookup(self) -> bytes:
        """
        The key of the hashes by which persons are found. It stays when the column key is replaced.
        """
        kept = self._kept("lookup")
        if kept:
            return _read_back(kept[min(kept)])
        ring = self.ring("columns")
        return derived(ring[min(ring)], "look-up")

    def audit(self) -> Mapping[int, bytes]:
        """
        The keys of the audit trail by number. An installation of before has one that follows from
        its first column key.
        """
        found = {number: derived(key, "audit") for number, key in self._kept("audit").items()}
        before = self._kept("audit-before")
        if before:
            found[BEFORE_AUDIT_KEY] = _read_back(before[min(before)])
            return found
        try:
            ring = self.ring("columns")
        except XuqiError:
            return found  # of a component that has no column key
        return found | {BEFORE_AUDIT_KEY: derived(ring[min(ring)], "audit")}
