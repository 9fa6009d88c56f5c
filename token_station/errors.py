"""The errors of a token, whatever its make."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from renewal.errors import XuqiError
from schema.reasons import TokenReason

if TYPE_CHECKING:
    from schema.reasons import Reason


class TokenError(XuqiError):
    """
    The token did not do what was asked.

    ``reason``, a code, is what is stored, published and shown; the text is for the log alone.
    """

    code: ClassVar[TokenReason] = TokenReason.FAILED  #: of an error that brings no reason

    def __init__(self, why: str = "", reason: Reason | TokenReason | None = None) -> None:
        known = reason or self.code
        self.reason = known.why() if isinstance(known, TokenReason) else known
        super().__init__(why or self.reason.stored())


class PinWrongError(TokenError):
    """The PIN is wrong; ``left`` tries remain."""

    def __init__(self, left: int) -> None:
        reason = TokenReason.PIN_WRONG.why(tries_left=left)
        super().__init__(f"the PIN is wrong, {left} tries left", reason)
        self.left = left


class PinBlockedError(TokenError):
    """No try is left; only the unblocking code helps."""

    code = TokenReason.PIN_BLOCKED


class LastTryError(TokenError):
    """One try is left and nobody has released it: nothing was sent to the token."""

    code = TokenReason.PIN_LAST_TRY


class BadPinFormatError(TokenError):
    """The PIN cannot be one of this token (length, characters): nothing was sent to the token."""

    code = TokenReason.PIN_FORMAT


class NotAuthorizedError(TokenError):
    """The management key is wrong or missing."""

    code = TokenReason.NOT_AUTHORIZED


class NoWriteKeyError(TokenError):
    """This station has no key at all for writing to this token; nothing was tried."""

    code = TokenReason.NO_WRITE_KEY


class NoFreeKeySlotError(TokenError):
    """Every key slot holds a certificate that must be kept."""

    code = TokenReason.NO_FREE_SLOT


class CardRemovedError(TokenError):
    """The token was pulled; the session is dead, a new one must be opened."""

    code = TokenReason.REMOVED


class ReaderGoneError(CardRemovedError):
    """The reader, or the service that reaches it, is gone, and the session with it."""

    code = TokenReason.READER_GONE


class ReaderBusyError(TokenError):
    """Another program has the token for itself."""

    code = TokenReason.READER_BUSY


class ModuleError(TokenError):
    """The token's PKCS#11 module does not start, or answers what nothing else covers."""

    code = TokenReason.MODULE


class NotBlankError(TokenError):
    """The token is somebody's already, and is not enrolled; nothing on it was changed."""

    code = TokenReason.NOT_BLANK


class NotGenuineError(TokenError):
    """The token does not prove that it is one of the bank's: a copy, or of another maker."""

    code = TokenReason.NOT_GENUINE_NOTHING


class OtherCardError(TokenError):
    """Another token is in the reader now."""

    code = TokenReason.OTHER_TOKEN


class TooLargeError(TokenError):
    """The certificate does not fit; nothing was sent to the token."""

    code = TokenReason.FULL


class ReadBackError(TokenError):
    """What was read back is not what was written."""

    code = TokenReason.READ_BACK


class KeyMismatchError(TokenError):
    """The certificate's key is not the key in that slot; nothing was written."""

    code = TokenReason.KEY_MISMATCH


class UnsupportedError(TokenError):
    """This token cannot do that."""

    code = TokenReason.UNSUPPORTED


class NoSerialError(UnsupportedError):
    """The token has no serial of its own: it is blank, or of no use here."""

    code = TokenReason.NO_SERIAL


class CannotMakeKeyError(UnsupportedError):
    """This token can make no key of that kind, today or later."""

    code = TokenReason.MAKES_NO_KEY


class PukWrongError(PinWrongError):
    """The unblocking code is wrong; ``left`` tries of it remain."""

    def __init__(self, left: int) -> None:
        reason = TokenReason.PUK_WRONG.why(tries_left=left)
        TokenError.__init__(self, f"the unblocking code is wrong, {left} tries left", reason)
        self.left = left


class PukBlockedError(PinBlockedError):
    """No try of the unblocking code is left: the token must be exchanged."""

    code = TokenReason.PUK_BLOCKED


class MalformedAnswerError(TokenError):
    """The token's answer breaks the standard; nothing is concluded from it."""

    code = TokenReason.MALFORMED


class CardError(TokenError):
    """The token answered with a status word that nothing else covers."""

    def __init__(self, doing: str, status: int) -> None:
        reason = TokenReason.ANSWERED_STATUS.why(status=f"{status:04X}")
        super().__init__(f"{doing}: the token answered {status:04X}", reason)
        self.status = status
