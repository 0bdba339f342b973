"""An emergency leaves a file that says why, and with which steps before it."""

from __future__ import annotations

import json
from pathlib import Path

from core.model.codes import TradingState
from core.model.step import Alert, Step
from core.runtime.incidents import STEPS_KEPT, incident_writer
from core.utils.clock import ManualClock


def _step(seq: int, *alerts: Alert) -> Step:
    return Step(seq=seq, ts_ns=seq, trading_state=TradingState.ACTIVE, alerts=alerts)


def test_an_emergency_is_written_once_with_what_led_to_it(tmp_path: Path) -> None:
    see = incident_writer(tmp_path, ManualClock(1_746_403_200_000_000_000))
    for seq in range(1, STEPS_KEPT + 10):
        see(_step(seq, Alert("info", "trading_state", "halted to active")))
    assert list(tmp_path.glob("incident-*.json")) == []
    emergency = Alert("error", "emergency_shutdown", "day's loss was 5.1 %, limit 5 %")
    see(_step(99, emergency))
    see(_step(100, emergency))
    (file,) = tmp_path.glob("incident-*.json")
    told = json.loads(file.read_text())
    assert told["reason"] == "emergency_shutdown: day's loss was 5.1 %, limit 5 %"
    assert told["call_count"] == 2
    steps = json.loads(told["context"]["last_steps"])
    assert steps[-1][0] in (99, 100) and len(steps) == STEPS_KEPT
