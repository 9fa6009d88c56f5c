"""A station's own key: made at the station, known to the centre by its public half."""

from __future__ import annotations

import os
from contextlib import suppress
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from renewal.db.retry import retry_on_conflict
from renewal.os_errors import os_error
from renewal.rules.statements import StationIdentity
from renewal.secret import secret_from_file
from renewal.store import stations
from schema.reasons import SettingReason
from xuqi.settings import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.engine import Store


def station_identity(home: Path, branch: str) -> StationIdentity:
    """
    Open the key of the branch's station in this home; make it if there is none.

    Raises:
        SettingsError: the file cannot be read or made, or holds no key.
    """
    path = home / "station" / f"{branch}.key"
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        why = SettingReason.CANNOT_BE_MADE.why(detail=os_error(error))
        raise SettingsError(str(path), why) from error
    try:
        found = load_pem_private_key(secret_from_file(path).value + b"\n", password=None)
    except (ValueError, TypeError) as error:
        raise SettingsError(str(path), SettingReason.NO_STATION_KEY) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise SettingsError(str(path), SettingReason.OTHER_STATION_KEY)
    return StationIdentity(branch, found)


def _make(path: Path) -> None:
    """
    Written whole before it gets its name, so that a power cut leaves none or all.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Ed25519PrivateKey.generate()
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(file.name)


@retry_on_conflict
def enrol_own(store: Store, identity: StationIdentity) -> None:
    """
    Let the centre know the station of its own home: whoever has the database needs no key to
    change what is in it.
    """
    with store.snapshot() as look:
        if stations.find(look, identity.number) is not None:
            return
    with store.transaction() as work:
        stations.enrol(
            work, number=identity.number, branch=identity.branch, public_key=identity.public
        )
