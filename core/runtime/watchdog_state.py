"""What a watchdog says of itself, as one small file in the state directory.

Written by `core.runtime.watchdog`, read by whoever wants to know which dead man's switch is active.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from core.utils.atomic import atomic_write

STATE_NAME = "watchdog.json"
FRESH_NS = 20_000_000_000
"""A watchdog writes every few seconds; one that has not for this long is no watchdog. Its process
number proves nothing: it may run in another container."""


class WatchdogPhase(StrEnum):
    """What a watchdog is doing."""

    WAITING = "waiting"
    """No bot has been heard yet."""
    ARMED = "armed"
    """A bot is alive."""
    SILENT = "silent"
    """The bot has missed beats, for less than the limit."""
    ACTING = "acting"
    """The bot was silent too long; the account is being closed."""
    DONE = "done"
    """The account was closed; nothing is done again before a bot is heard."""
    ENDED = "ended"
    """The bot ended in order; nothing is done."""


class WatchdogState(msgspec.Struct, frozen=True, kw_only=True):
    """A watchdog at one moment; times in nanoseconds UTC of its own clock.

    ``venue_switch`` says whether the venue's own switch is set as well, and if not, why.
    """

    pid: int
    mode: str
    account: str
    phase: WatchdogPhase
    silence_seconds: float
    updated_ns: int
    session: str = ""
    seq: int = 0
    beat_ns: int = 0
    venue_switch: str = "off"
    detail: str = ""
    incident: str = ""


def write_state(state_dir: Path, state: WatchdogState) -> None:
    """Replace the file by a new state; `OSError` if the disk refuses."""
    atomic_write(state_dir / STATE_NAME, msgspec.json.encode(state))


def read_state(state_dir: Path) -> WatchdogState | None:
    """Return the last state written, ``None`` if there is none that can be read."""
    try:
        return msgspec.json.decode((state_dir / STATE_NAME).read_bytes(), type=WatchdogState)
    except (OSError, msgspec.MsgspecError):
        return None


def is_on_guard(state: WatchdogState | None, now_ns: int) -> bool:
    """Tell whether a watchdog is alive and would act."""
    return state is not None and 0 <= now_ns - state.updated_ns < FRESH_NS


def describe(state: WatchdogState | None, now_ns: int) -> str:
    """Say in one line which dead man's switch is active."""
    if state is None:
        return "no watchdog has run here; venue's scheduleCancel: off"
    if not is_on_guard(state, now_ns):
        return (
            f"no watchdog runs (the last one was {state.phase.value}); venue's scheduleCancel: off"
        )
    return (
        f"watchdog {state.phase.value}, acts after {state.silence_seconds:g} s of silence "
        f"(process {state.pid}); venue's scheduleCancel: {state.venue_switch}"
    )
