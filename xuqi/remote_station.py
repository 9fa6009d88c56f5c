"""Runs a station on a clerk's PC: one file of settings, one key, no database and no log."""

from __future__ import annotations

import base64
import ssl
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from renewal.rules.station_link import centre_key, public_of
from renewal.sealing import branch_key
from renewal.secret import Secret
from schema.reasons import SettingReason
from token_station.centre_link import CentreLink
from xuqi.settings import SettingsError
from xuqi.simulated_readers import StationParts, station_of
from xuqi.station_keys import station_identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.keys import Keys
    from token_station.operators import Operator
    from token_station.station import Station


class StationFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What one branch's station must know: nothing of other branches, and no secret of the centre.
    """

    branch: str
    url: str  #: of the centre
    centre_key: str  #: Ed25519, raw, base64: jobs are signed by it
    branch_key: str  #: base64: certificates are sealed for it
    tokens_key: str = ""  #: hex: the common key, where tokens still have it; else jobs bring keys
    readers: str = "pcsc"
    ca_file: str = ""  #: who has issued the centre's TLS certificate; empty: the system's own

    def parts(self, home: Path) -> StationParts:
        return StationParts(
            branch=self.branch,
            home=home,
            readers=self.readers,
            identity=station_identity(home, self.branch),
            key=Secret(base64.b64decode(self.branch_key)),
            centre=base64.b64decode(self.centre_key),
            management_key=Secret(bytes.fromhex(self.tokens_key)) if self.tokens_key else None,
        )


def station_file(
    keys: Keys, branch: str, url: str, *, readers: str, common_key: bool = False
) -> str:
    """
    The file for the station of that branch, in TOML. It is secret.

    ``common_key``: with the key that all tokens have at first, and that every token's own follows
    from: only as long as the branch's tokens have not been taken over.
    """
    made = StationFile(
        branch=branch,
        url=url,
        centre_key=base64.b64encode(public_of(centre_key(keys.stations))).decode(),
        branch_key=base64.b64encode(branch_key(keys.stations, branch).value).decode(),
        tokens_key=keys.tokens.value.hex() if common_key else "",
        readers=readers,
    )
    lines = (f'{name} = "{value}"' for name, value in msgspec.structs.asdict(made).items() if value)
    return "\n".join(["# A station of Xuqi. Secret: keep it to its clerks.", *lines, ""])


def read_station_file(path: Path) -> StationFile:
    """
    Raises:
        SettingsError: it cannot be read, or lacks something; the text names it.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), StationFile)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        why = SettingReason.STATION_FILE.why(detail=str(error))
        raise SettingsError(str(path), why) from error


def link_of(file: StationFile, parts: StationParts, clock: Clock) -> CentreLink:
    """
    Raises:
        XuqiError: the centre's address cannot be used.
    """
    tls = ssl.create_default_context(cafile=file.ca_file) if file.ca_file else None
    return CentreLink(
        file.url,
        parts.identity,
        centre=base64.b64decode(file.centre_key),
        clock=clock,
        tls=tls,
    )


@contextmanager
def remote_station(
    file: StationFile, home: Path, clock: Clock, person: Operator
) -> Iterator[Station]:
    """
    A station that knows its centre by HTTPS alone.

    Raises:
        XuqiError
    """
    parts = file.parts(home)
    with station_of(parts, link_of(file, parts, clock), clock, person) as station:
        yield station
