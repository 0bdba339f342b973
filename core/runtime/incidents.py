"""Write an emergency down: why, and the last steps before it, in a file of its own.

The engine itself cancels and closes; this only keeps the evidence where a person finds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from core.model.ports import Clock
from core.model.step import Step
from core.utils.emergency_handler import EmergencyHandler

STEPS_KEPT = 60
EMERGENCY_ALERTS = frozenset({"emergency_shutdown", "liquidated"})


def incident_writer(directory: Path, clock: Clock) -> Callable[[Step], None]:
    """Return what looks at every step and writes ``incident-*.json`` after an emergency.

    Parameters
    ----------
    directory : Path
        The session's folder.
    """
    handler = EmergencyHandler(directory, clock=clock)
    recent: deque[Step] = deque(maxlen=STEPS_KEPT)

    def look(step: Step) -> None:
        recent.append(step)
        for alert in step.alerts:
            if alert.name in EMERGENCY_ALERTS:
                handler.handle_emergency(
                    f"{alert.name}: {alert.detail}",
                    seq=step.seq,
                    last_steps=msgspec.json.encode(list(recent)).decode(),
                )

    return look
