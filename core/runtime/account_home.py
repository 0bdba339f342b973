"""What one account keeps between sessions: who may trade it now, and which session was last.

One folder per network and account. A lock makes sure that one program trades it at a time; a
list names its sessions in order, each of which has a journal of its own. Knows nothing of what is
in the journals.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from core.model.errors import JournalError, PortInUseError
from core.utils.atomic import atomic_write
from core.utils.logger import Logger

ACCOUNTS_NAME = "accounts"
LIST_NAME = "sessions.json"
LOCK_NAME = "lock"
LAYOUT = 1
SESSIONS_KEPT = 1_000


class SessionList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The account's sessions by folder name, oldest first."""

    layout: int
    sessions: tuple[str, ...]


def home_name(network: str, account: str) -> str:
    """Return the folder's name; ``network`` may be a URL, of which the address stays."""
    address = re.sub(r"^https?://", "", network).rstrip("/")
    return re.sub(r"[^0-9A-Za-z.-]+", "-", f"{address}-{account}")


class AccountHome:
    """The folder of one account, locked while in use; a context manager.

    Parameters
    ----------
    state_dir : Path
        Where sessions keep their folders.
    name : str
        See `home_name`.

    Raises
    ------
    PortInUseError
        If a running program trades the account from this state directory.
    """

    def __init__(self, state_dir: Path, name: str) -> None:
        self.state_dir = state_dir
        self.directory = state_dir / ACCOUNTS_NAME / name
        # Positions and an address are nobody else's business.
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = self._take_lock()

    def __enter__(self) -> AccountHome:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the account go; harmless twice."""
        if not self._lock.closed:
            self._lock.seek(0)
            self._lock.truncate()
            self._lock.close()

    def last_session(self) -> Path | None:
        """Return the folder of the account's last session, ``None`` before the first.

        Raises
        ------
        JournalError
            If it should be there and is not, or the list cannot be read: what it left is not known.
        """
        path = self.directory / LIST_NAME
        if not path.exists():
            return None
        try:
            known = msgspec.json.decode(path.read_bytes(), type=SessionList)
        except (OSError, msgspec.MsgspecError) as error:
            raise self._unusable(f"{path} should list its sessions, was unreadable: {error}") from (
                error
            )
        if known.layout != LAYOUT or not known.sessions:
            raise self._unusable(f"{path} should have layout {LAYOUT}, was {known.layout}")
        folder = self.state_dir / known.sessions[-1]
        if not folder.is_dir():
            raise self._unusable(f"session {folder} should be there, was missing")
        return folder

    def begin(self, session: str) -> None:
        """Name the session that goes on from here; its journal holds all that it starts from."""
        path = self.directory / LIST_NAME
        before: tuple[str, ...] = ()
        if path.exists():
            before = msgspec.json.decode(path.read_bytes(), type=SessionList).sessions
        sessions = (*before, session)[-SESSIONS_KEPT:]
        atomic_write(path, msgspec.json.encode(SessionList(LAYOUT, sessions)))

    def _take_lock(self) -> IO[str]:
        """Lock the folder; the system lets go of a lock whose program died, however it died."""
        path = self.directory / LOCK_NAME
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = file.read().strip() or "unknown"
            file.close()
            raise PortInUseError(
                f"account should be traded by one program, was in use by process {pid} "
                f"({path}); stop that one (nova shell, then stop) or trade another account"
            ) from None
        with contextlib.suppress(ValueError):
            stale = int(file.read())
            Logger("account").warning("lock_stale", pid=stale, detail="it did not end in order")
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        return file

    def _unusable(self, text: str) -> JournalError:
        return JournalError(
            f"{text}; restore it, or move {self.directory} away to start afresh: positions, "
            "orders and balance are then taken over from the venue, and limits count anew"
        )
