"""Says what the operating system refused as a reason: its own text is in one language."""

from __future__ import annotations

import errno
from typing import Final

from schema.reasons import FindingReason

_KNOWN: Final = {
    errno.ENOENT: FindingReason.MISSING,
    errno.EACCES: FindingReason.DENIED,
    errno.EPERM: FindingReason.DENIED,
    errno.EEXIST: FindingReason.EXISTS,
    errno.ELOOP: FindingReason.IS_LINK,
    errno.EISDIR: FindingReason.IS_FOLDER,
}


def os_error(error: OSError) -> str:
    """The reason in its stored form, as the detail of another."""
    known = _KNOWN.get(error.errno or 0)
    if known is not None:
        return known.why().stored()
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return FindingReason.OS_ERROR.why(error=name).stored()
