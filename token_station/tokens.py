"""Opens the token in a reader by the driver that fits the reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.rules.token_keys import WriteKeys
from schema.reasons import TokenReason
from token_station.errors import NoWriteKeyError, UnsupportedError
from token_station.piv.session import open_blank as open_blank_piv_token
from token_station.piv.session import open_token as open_piv_token
from token_station.port import EnrolsTokens, OpensTokens

if TYPE_CHECKING:
    from token_station.port import BlankTokenSteps, TokenReader, TokenSession


def open_blank(
    reader: TokenReader | OpensTokens, serial: str, write_key: WriteKeys
) -> BlankTokenSteps:
    """
    Open the token in the reader to make it one of ours, with that serial.

    Raises:
        CardRemovedError: there is none.
        UnsupportedError: it is of no kind that can be prepared.
    """
    if isinstance(reader, EnrolsTokens):
        return reader.open_blank(serial, write_key)
    if isinstance(reader, OpensTokens):
        raise UnsupportedError(f"tokens in {reader.name} cannot be prepared here")
    own = write_key.own(serial)
    if own is None:
        raise NoWriteKeyError(reason=TokenReason.NO_WRITE_KEY)
    return open_blank_piv_token(reader, serial, own)


def open_token(reader: TokenReader | OpensTokens, write_key: bytes | WriteKeys) -> TokenSession:
    """
    Raises:
        CardRemovedError: there is none.
        UnsupportedError: it is of no kind that the driver knows, or has no serial.
    """
    if isinstance(reader, OpensTokens):
        keys = write_key if isinstance(write_key, WriteKeys) else WriteKeys(common=write_key)
        return reader.open_token(keys)
    return open_piv_token(reader, write_key)
