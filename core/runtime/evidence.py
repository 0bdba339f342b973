"""What earlier sessions left in a state directory, for those who come after them.

Reads journals without writing to them, also while their session runs or after it was killed.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from core.model.errors import JournalError
from core.runtime.compose import JOURNAL_NAME
from core.utils.journal_reader import JournalReader

EVENTS_KEPT = 200


def newest_journal(state_dir: Path, mode: str = "") -> Path | None:
    """Return the journal that was written to last, of one mode or of any."""
    paths = state_dir.glob(f"{mode}*/{JOURNAL_NAME}")
    return max(paths, key=lambda path: path.stat().st_mtime_ns, default=None)


def end_reason(path: Path) -> str | None:
    """Return why a session ended in order; ``None`` if it did not, or nobody can tell.

    Raises nothing: what cannot be read has not ended in order.
    """
    try:
        with JournalReader(path) as reader:
            reason = reader.facts().get("end_reason")
    except JournalError:
        return None
    return None if reason in (None, "failed") else reason


def last_events(path: Path, count: int = EVENTS_KEPT) -> str:
    """Return the last events of a journal as JSON text, or why they cannot be told."""
    try:
        with JournalReader(path) as reader:
            events = list(reader.events(max(0, reader.last_seq - count)))
    except JournalError as error:
        return f"not readable: {error}"
    return msgspec.json.encode(events).decode()
