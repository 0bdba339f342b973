"""Rebuild what a session left: its newest snapshot, then the rest of its journal.

Commands are not sent again: replaying only finds out what had been decided, and each recomputed
step is compared with the one on disk. What cannot be rebuilt exactly is refused, never guessed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from core.engines.trading_engine import TradingEngine
from core.model.errors import JournalError, NovaError, ReplayError
from core.model.events import SessionEnded, SessionStarted, StateCarried
from core.model.settings import EngineConfig
from core.runtime import compose
from core.runtime.replay import compare_step, config_of
from core.runtime.snapshots import SnapshotFile, read_snapshots
from core.utils.journal_reader import JournalReader

EngineMaker = Callable[[EngineConfig, str], TradingEngine]
"""Makes a fresh engine of a configuration and an account."""


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What a session left.

    ``packed`` is the engine's state after event ``at_seq``. ``notes`` say what was found on the
    way, for the log. ``is_ended`` tells an orderly end from a crash.
    """

    session: str
    at_seq: int
    packed: bytes
    is_ended: bool
    replayed_count: int
    notes: tuple[str, ...]

    def event(self) -> StateCarried:
        """Return the event with which the next session begins."""
        return StateCarried(session=self.session, at_seq=self.at_seq, packed=self.packed)


def _shipped(config: EngineConfig, account: str) -> TradingEngine:
    return compose.build_engine(config, account=account)


def recover(directory: Path, make_engine: EngineMaker = _shipped) -> Recovered:
    """Rebuild the state at the end of the session in a folder.

    Raises
    ------
    JournalError
        If the journal cannot be read, or does not lead to the same decisions any more.
    """
    journal_path = directory / compose.JOURNAL_NAME
    with JournalReader(journal_path) as reader:
        torn = reader.torn_bytes
        started = _first_event(reader, journal_path)
        notes = [f"{torn} bytes after the last whole record were cut off"] if torn else []
        engine, base_seq = _from_snapshot(reader, journal_path, started, make_engine, notes)
        last_seq = reader.last_seq
        if base_seq > last_seq:
            notes.append(f"events {last_seq + 1} to {base_seq} are only in the snapshot")
        count, is_ended = _replay_tail(reader, journal_path, engine, base_seq, notes)
        return Recovered(
            session=started.session,
            at_seq=max(base_seq, last_seq),
            packed=engine.snapshot(),
            is_ended=is_ended or engine.is_ended,
            replayed_count=count,
            notes=tuple(notes),
        )


def _first_event(reader: JournalReader, path: Path) -> SessionStarted:
    with contextlib.closing(reader.events()) as events:
        started = next(events, None)
    if not isinstance(started, SessionStarted):
        raise JournalError(f"{path} should begin with SessionStarted, began with {started!r}")
    return started


def _from_snapshot(
    reader: JournalReader,
    path: Path,
    started: SessionStarted,
    make_engine: EngineMaker,
    notes: list[str],
) -> tuple[TradingEngine, int]:
    """Return an engine at the newest usable snapshot, or a fresh one at the journal's start."""
    config = config_of(started, path)

    def fresh() -> TradingEngine:
        try:
            return make_engine(config, started.account)
        except NovaError as error:
            raise JournalError(
                f"the engine of {path} should be built again, was not: {error}"
            ) from error

    for found in read_snapshots(path.parent, session=started.session):
        if not isinstance(found, SnapshotFile):
            notes.append(found)
            continue
        engine = fresh()
        try:
            engine.restore(found.packed)
        except ValueError as error:
            notes.append(f"snapshot after event {found.seq} is passed over: {error}")
            continue
        return engine, found.seq
    return fresh(), 0


def _replay_tail(
    reader: JournalReader, path: Path, engine: TradingEngine, base_seq: int, notes: list[str]
) -> tuple[int, bool]:
    """Process the events after a snapshot; return their number and whether the end was orderly.

    The very last event may lack its step: both are written together with the next one, so nothing
    that follows from it has left.
    """
    last_seq, count, is_ended = reader.last_seq, 0, False
    steps = {step.seq: step for step in reader.steps(after=base_seq)}
    for event in reader.events(after=base_seq):
        count += 1
        step = engine.process(event)
        is_ended = isinstance(event, SessionEnded)
        recorded = steps.get(event.seq)
        if recorded is None and event.seq == last_seq and not step.is_quiet:
            notes.append(f"what follows from event {event.seq} was decided and never left")
            continue
        try:
            compare_step(recorded, step, event)
        except ReplayError as error:
            raise JournalError(
                f"{path} should lead to the same decisions again, did not: {error}; it was "
                "written by another version or other strategies: end it in order with those"
            ) from error
    return count, is_ended
