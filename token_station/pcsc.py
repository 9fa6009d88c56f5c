"""Tokens in real readers over PC/SC; the only module that imports smartcard."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, overload

from smartcard import scard

from token_station.errors import (
    CardRemovedError,
    ReaderBusyError,
    ReaderGoneError,
    TokenError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

log = logging.getLogger(__name__)

#: pcsc-lite and Windows say by it that a reader came or went.
PLUG_AND_PLAY = r"\\?PnP?\Notification"
ANY_PROTOCOL = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
#: Commands that leave a PIN verified: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER.
PIN_COMMANDS = frozenset({0x20, 0x24, 0x2C})
STATUS_WORD = 2
WAIT_AT_MOST = 1_000  #: milliseconds that one wait for an event takes
WITHOUT_SERVICE = 0.5  #: seconds until the service is asked for again

NO_CARD = frozenset(
    {
        scard.SCARD_E_NO_SMARTCARD,
        scard.SCARD_W_REMOVED_CARD,
        scard.SCARD_W_UNPOWERED_CARD,
        scard.SCARD_W_UNRESPONSIVE_CARD,
        scard.SCARD_E_PROTO_MISMATCH,
    }
)
#: The visit is over; the handle is not valid any more after a pull was noticed by the service.
CARD_LOST = NO_CARD | {scard.SCARD_W_RESET_CARD, scard.SCARD_E_INVALID_HANDLE}


class PcscReader:
    """One reader by its name. It has one connection at a time: a new one ends the one before."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._context: Any = None
        self._connection: PcscConnection | None = None

    def __repr__(self) -> str:
        return f"PcscReader({self.name!r})"

    def connect(self) -> PcscConnection | None:
        """
        Return a connection that keeps other programs out until ``release``; ``None``: no token.

        Raises:
            ReaderBusyError: another program has the token for itself.
            ReaderGoneError: the reader, or the PC/SC service, is not there.
        """
        self.release()
        if self._context is None:
            self._context = _new_context()
        result, handle, protocol = scard.SCardConnect(
            self._context, self.name, scard.SCARD_SHARE_SHARED, ANY_PROTOCOL
        )
        if result in NO_CARD:
            return None
        if result != scard.SCARD_S_SUCCESS:
            self.close()
            raise _error(result, self.name)
        self._connection = PcscConnection(self.name, handle, protocol)
        try:
            self._connection.begin()
        except CardRemovedError:
            self.release()
            return None
        return self._connection

    def release(self) -> None:
        """Give the token back to other programs, with no PIN verified."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end()

    def close(self) -> None:
        self.release()
        context, self._context = self._context, None
        if context is not None:
            scard.SCardReleaseContext(context)


class PcscConnection:
    """A visit to the card that is in the reader now; dead once the card or the reader is gone."""

    def __init__(self, reader: str, handle: Any, protocol: int) -> None:  # noqa: ANN401 - scard has no types
        self._reader = reader
        self._handle = handle
        self._protocol = protocol
        self._depth = 0
        self._pin_used = False

    def begin(self) -> None:
        """Keep other programs' commands out; waits while another one does the same."""
        if self._depth == 0:
            result = scard.SCardBeginTransaction(self._handle)
            if result != scard.SCARD_S_SUCCESS:
                raise _error(result, self._reader)
        self._depth += 1

    def end(self) -> None:
        """
        End all of it. A PIN that was verified is forgotten by a reset of the card: another
        program would find it verified.
        """
        leave = scard.SCARD_RESET_CARD if self._pin_used else scard.SCARD_LEAVE_CARD
        if self._depth:
            self._depth = 0
            scard.SCardEndTransaction(self._handle, leave)
        scard.SCardDisconnect(self._handle, leave)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        self.begin()
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                scard.SCardEndTransaction(self._handle, scard.SCARD_LEAVE_CARD)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let other programs at the token, while a person or the network is waited for."""
        depth, self._depth = self._depth, 0
        if depth:
            scard.SCardEndTransaction(self._handle, scard.SCARD_LEAVE_CARD)
        yield
        if depth:
            self.begin()
            self._depth = depth

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        """
        Send one command APDU; return the response data and the status word.

        Raises:
            CardRemovedError: the card is gone, or was reset by another program.
            ReaderGoneError: so is the reader, or the PC/SC service.
        """
        self._pin_used |= frame[1] in PIN_COMMANDS
        result, answer = scard.SCardTransmit(self._handle, self._protocol, list(frame))
        if result != scard.SCARD_S_SUCCESS:
            raise _error(result, self._reader)
        if len(answer) < STATUS_WORD:  # so a pull amid a command looks, with a result of success
            raise CardRemovedError(f"{self._reader}: the token gave no answer")
        return bytes(answer[:-STATUS_WORD]), answer[-2] << 8 | answer[-1]


class PcscReaders(Sequence[PcscReader]):
    """
    The readers that are attached now, kept up to date by a thread of its own.

    pyscard's own monitors end for good when the PC/SC service is absent or restarts; this one
    makes a new context after any error and goes on. An event is a hint: what is in a reader is
    known only by reading it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers: dict[str, PcscReader] = {}
        self._states: dict[str, int] = {}
        self._version = 0
        self._running = False
        self._context: Any = None
        self._thread = threading.Thread(target=self._watch, name="readers", daemon=True)

    def __enter__(self) -> Self:
        self._running = True
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        self._running = False
        while self._thread.is_alive():
            context = self._context
            if context is not None:
                scard.SCardCancel(context)  # does nothing unless the thread waits just now
            self._thread.join(0.02)
        for reader in self._readers.values():
            reader.close()

    def __len__(self) -> int:
        return len(self._readers)

    @overload
    def __getitem__(self, index: int) -> PcscReader: ...
    @overload
    def __getitem__(self, index: slice) -> list[PcscReader]: ...
    def __getitem__(self, index: int | slice) -> PcscReader | list[PcscReader]:
        return list(self._readers.values())[index]

    def __iter__(self) -> Iterator[PcscReader]:
        with self._changed:
            return iter(list(self._readers.values()))

    @property
    def names(self) -> list[str]:
        return [reader.name for reader in self]

    @property
    def version(self) -> int:
        """A number that grows by each event: a reader or a token that came or went."""
        return self._version

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until something has happened since version ``seen``; return the version now."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != seen, seconds)
            return self._version

    def has_token(self, name: str) -> bool:
        """Say what the last event said of the reader."""
        return bool(self._states.get(name, 0) & scard.SCARD_STATE_PRESENT)

    # -- the thread ----------------------------------------------------------

    def _watch(self) -> None:
        while self._running:
            try:
                self._context = _new_context()
            except TokenError:
                self._show({})
                threading.Event().wait(WITHOUT_SERVICE)
                continue
            try:
                self._follow(self._context)
            finally:
                context, self._context = self._context, None
                scard.SCardReleaseContext(context)

    def _follow(self, context: Any) -> None:  # noqa: ANN401 - scard has no types
        """Show each event until anything goes wrong with this context."""
        states: dict[str, int] = {}
        while self._running:
            names = _attached(context)
            if names is None:
                break
            asked = [(name, states.get(name, scard.SCARD_STATE_UNAWARE)) for name in names]
            # Its state counts the readers: one that comes between the two calls is not missed.
            asked.append((PLUG_AND_PLAY, len(names) << 16))
            result, found = scard.SCardGetStatusChange(context, WAIT_AT_MOST, asked)
            if result == scard.SCARD_S_SUCCESS:
                states_now = {name: state for name, state, _atr in found if name != PLUG_AND_PLAY}
                states = {
                    name: state & ~scard.SCARD_STATE_CHANGED for name, state in states_now.items()
                }
                self._show(states)
            elif result != scard.SCARD_E_TIMEOUT:
                break
        self._show({})

    def _show(self, states: dict[str, int]) -> None:
        with self._changed:
            if states == self._states and set(states) == set(self._readers):
                return
            for name in self._readers.keys() - states.keys():
                del self._readers[name]  # its visit ends by its own error
            for name in sorted(states.keys() - self._readers.keys()):
                self._readers[name] = PcscReader(name)
                log.info("reader attached", extra={"reader": name})
            self._states = states
            self._version += 1
            self._changed.notify_all()


def _new_context() -> Any:  # noqa: ANN401 - scard has no types
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if result != scard.SCARD_S_SUCCESS:
        raise _error(result, "")
    return context


def _attached(context: Any) -> list[str] | None:  # noqa: ANN401 - scard has no types
    result, names = scard.SCardListReaders(context, [])
    if result == scard.SCARD_E_NO_READERS_AVAILABLE:
        return []
    return sorted(names) if result == scard.SCARD_S_SUCCESS else None


def _error(result: int, reader: str) -> TokenError:
    text = ""
    with suppress(Exception):
        text = scard.SCardGetErrorMessage(result)
    states_now = f"{reader or 'PC/SC'}: {text or 'no answer'} ({result & 0xFFFFFFFF:08X})"
    if result == scard.SCARD_E_SHARING_VIOLATION:
        return ReaderBusyError(f"{states_now}: another program uses the token, close it")
    if result in CARD_LOST:
        return CardRemovedError(states_now)
    return ReaderGoneError(f"{states_now}: is the reader attached, and pcscd running?")
