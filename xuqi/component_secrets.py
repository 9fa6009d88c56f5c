"""Says which secrets each component has and what for; it is given these and no other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from renewal.keys import KEY_NAMES
from schema.reasons import SettingReason
from xuqi.serving.components import COMPONENTS, RELAY, SCHEDULER, STATION, WEB
from xuqi.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from xuqi.key_files import KeyFiles
    from xuqi.settings import Settings

log = logging.getLogger(__name__)

_READS_PERSONS = "opens and seals personal data"
_SIGNS_MAIL = "signs return addresses of mail"
_CA = "opens the embedded CA's keys"
CONSOLE: Final = "console"  #: `xuqi console`: a process of its own
#: Component, secret, right. docs/security.md shows the same table.
RIGHTS: Final[Mapping[str, Mapping[str, str]]] = {
    SCHEDULER: {"columns": "reads the certificates of a bulk run"},
    RELAY: {},
    "otp": {
        "columns": _READS_PERSONS,
        "codes": "opens the secret of a code in order to send it",
        "mail": _SIGNS_MAIL,
    },
    "billing": {"columns": _READS_PERSONS},
    "issuance": {"columns": _READS_PERSONS, "ca": _CA},
    "records": {
        "columns": _READS_PERSONS,
        "stations": "signs jobs, and seals certificates and keys for a branch",
        "tokens": "derives the key of one token for its job",
        "audit": "chains what stations tell into the audit trail",
    },
    "runs": {},
    "revocation": {"ca": _CA},
    "reminders": {"columns": _READS_PERSONS, "mail": _SIGNS_MAIL},
    "notices": {"columns": _READS_PERSONS, "mail": _SIGNS_MAIL},
    WEB: {
        "columns": _READS_PERSONS,
        "codes": "seals the secret of a new code",
        "pepper": "compares what is entered with a code's fingerprint",
        "stations": "signs jobs for stations without a database",
        "ca": "signs CRL and OCSP answers",
    },
    STATION: {
        "stations": "opens certificates that are sealed for its branch",
        "tokens": "authorizes writing to tokens that have the common key",
    },
    CONSOLE: {"columns": _READS_PERSONS, "audit": "chains the audit trail"},
}


def needed(component: str, settings: Settings) -> frozenset[str]:
    """What the component cannot work without, with these settings."""
    unused = set()
    if not settings.ca_url.startswith("embedded:"):
        unused.add("ca")
    if not settings.mail_url.startswith("smtp:"):
        unused.add("mail")
    return frozenset(RIGHTS[component]) - unused


def check_secrets(components: Collection[str], settings: Settings, files: KeyFiles) -> list[str]:
    """
    Return the names of secrets that are given and not needed. In a folder that is named for these
    components, each is warned of.

    Raises:
        SettingsError: one is missing; the text names it and who needs it.
    """
    for component in (one for one in COMPONENTS if one in components):
        for name in sorted(needed(component, settings)):
            if not files.numbers(name):
                path = str(files.path(name, 1))
                why = SettingReason.NO_SECRET.why(component=component, secret=name, file=path)
                raise SettingsError("XUQI_SECRETS", why)
    rights = {name for one in components for name in RIGHTS[one]}
    spare: list[str] = [name for name in KEY_NAMES if name in files.names() - rights]
    if settings.secrets is not None:  # of the home's own folder, every command has all
        for name in spare:
            log.warning(
                "%s.key is given to %s, which needs none of it: take it away",
                name,
                ", ".join(sorted(components)),
            )
    return spare
