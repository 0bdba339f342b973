"""Copies of the engine's state on disk, so that a restart replays minutes instead of weeks.

A snapshot only saves time: without any, the journal alone rebuilds the state. So one that is torn,
of another layout or gone is passed over for the one before it, and said. Written whole or not
at all. Knows nothing of what a state holds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

import core
from core.utils.atomic import atomic_write
from core.utils.logger import Logger

LAYOUT = 1
KEPT_COUNT = 3
_DIGEST_BYTES = 16
_NAME = re.compile(r"snapshot-(\d{12})\.bin")


class SnapshotFile(msgspec.Struct, frozen=True, kw_only=True):
    """What one file holds: the state after event ``seq``, and how to tell that it is whole."""

    layout: int
    version: str
    session: str
    seq: int
    digest: bytes
    packed: bytes


class SnapshotStore:
    """Keep the newest snapshots of one session; implements `core.model.ports.SnapshotSink`.

    Writing happens beside the caller, one file at a time. A disk that refuses is told in the log
    and stops nobody: the journal, which must be written, will say the same.

    Parameters
    ----------
    directory : Path
        The session's folder.
    """

    def __init__(self, directory: Path, *, session: str, logger: Logger | None = None) -> None:
        self._directory = directory
        self._session = session
        self._logger = logger or Logger("snapshots")
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshots")

    def save(self, seq: int, packed: bytes) -> None:
        """Keep the state after event ``seq``; returns before it is on disk."""
        self._writer.submit(self._write, seq, packed)

    def close(self) -> None:
        """Wait until everything is kept."""
        self._writer.shutdown(wait=True)

    def _write(self, seq: int, packed: bytes) -> None:
        body = msgspec.msgpack.encode(
            SnapshotFile(
                layout=LAYOUT,
                version=core.__version__,
                session=self._session,
                seq=seq,
                digest=_digest(packed),
                packed=packed,
            )
        )
        try:
            atomic_write(self._directory / f"snapshot-{seq:012d}.bin", body)
            for path in _paths(self._directory)[KEPT_COUNT:]:
                path.unlink(missing_ok=True)
        except OSError as error:
            self._logger.warning("snapshot_failed", seq=seq, detail=str(error))


def read_snapshots(directory: Path, *, session: str) -> Iterator[SnapshotFile | str]:
    """Yield a session's snapshots, newest first; a text instead of one that cannot be used."""
    for path in _paths(directory):
        try:
            file = msgspec.msgpack.decode(path.read_bytes(), type=SnapshotFile)
        except (OSError, msgspec.MsgspecError) as error:
            yield f"{path.name} should be a snapshot, was unreadable: {error}"
            continue
        if file.layout != LAYOUT:
            yield f"{path.name} should have layout {LAYOUT}, was {file.layout}"
        elif file.session != session:
            yield f"{path.name} should belong to {session}, was of {file.session}"
        elif file.digest != _digest(file.packed):
            yield f"{path.name} should be whole, was torn or altered"
        else:
            yield file


def _paths(directory: Path) -> list[Path]:
    """Return snapshot files, newest first."""
    return sorted((p for p in directory.iterdir() if _NAME.fullmatch(p.name)), reverse=True)


def _digest(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=_DIGEST_BYTES).digest()
