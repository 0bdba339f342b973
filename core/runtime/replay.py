"""Replay a journal: the same events must give the same steps and the same state hash."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Set
from pathlib import Path

import msgspec

import core
from core.model.codes import Mode
from core.model.errors import JournalError, ReplayError
from core.model.events import AnyEvent, SessionStarted
from core.model.settings import EngineConfig
from core.model.step import Step
from core.runtime.compose import build_engine
from core.utils.journal_reader import JournalReader

PROGRESS_EVERY = 2_000


class ReplayOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was replayed and found equal."""

    session: str
    mode: Mode
    event_count: int
    step_count: int
    checkpoint_count: int
    state_hash: str


def replay_journal(
    path: Path, *, on_progress: Callable[[float], None] = lambda fraction: None
) -> ReplayOutcome:
    """Rebuild a session from its journal and compare every step and checkpoint.

    Raises
    ------
    JournalError
        If the journal cannot be read.
    ReplayError
        At the first step or checkpoint that differs, with both sides.
    """
    with JournalReader(path) as reader, contextlib.closing(reader.events()) as events:
        started = next(events, None)
        if not isinstance(started, SessionStarted):
            raise JournalError(f"{path} should begin with SessionStarted, began with {started!r}")
        engine = build_engine(config_of(started, path), account=started.account)
        steps = {step.seq: step for step in reader.steps()}
        checkpoints = dict(reader.checkpoints())
        step_count, checkpoint_count = len(steps), len(checkpoints)
        event_count = 0
        for event in itertools.chain([started], events):
            event_count += 1
            compare_step(steps.pop(event.seq, None), engine.process(event), event)
            expected = checkpoints.pop(event.seq, None)
            if expected is not None and engine.state_hash() != expected:
                raise ReplayError(
                    f"state after event {event.seq} should hash to {expected}, "
                    f"was {engine.state_hash()}"
                )
            if event_count % PROGRESS_EVERY == 0:
                on_progress(min(1.0, event_count / max(1, reader.last_seq)))
    _refuse_left_over(steps.keys() | checkpoints.keys(), event_count)
    return ReplayOutcome(
        session=started.session,
        mode=started.mode,
        event_count=event_count,
        step_count=step_count,
        checkpoint_count=checkpoint_count,
        state_hash=engine.state_hash(),
    )


def config_of(started: SessionStarted, path: Path) -> EngineConfig:
    """Return the configuration that a session ran with.

    Raises
    ------
    JournalError
        If this version does not understand it.
    """
    try:
        return msgspec.json.decode(started.config_json, type=EngineConfig)
    except msgspec.MsgspecError as error:
        raise JournalError(
            f"configuration in {path} should be one of Nova {core.__version__}, was written by "
            f"{started.version}: {error}; replay it with that version"
        ) from error


def _refuse_left_over(left_over: Set[int], event_count: int) -> None:
    if left_over:
        raise ReplayError(
            f"steps and checkpoints should belong to one of {event_count} events, "
            f"was seq {min(left_over)} without one; the events were cut off"
        )


def compare_step(recorded: Step | None, replayed: Step, event: AnyEvent) -> None:
    """Raise `ReplayError` unless an event led to the same step; a quiet one is not stored."""
    if recorded is None and replayed.is_quiet:
        return
    if recorded != replayed:
        raise ReplayError(
            f"step {event.seq} ({type(event).__name__}) should be {recorded}, was {replayed}"
        )
