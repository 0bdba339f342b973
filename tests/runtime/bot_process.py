"""A bot as a process of its own, on the clock of a local exchange: something that can be killed.

``python -m tests.runtime.bot_process MODE PORT DIRECTORY``; the key is in the environment.
"""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from pathlib import Path

from core.model.codes import Mode
from core.runtime import compose
from core.runtime.live import run_live
from core.runtime.options import LiveOptions, PaperOptions
from core.runtime.paper import run_paper
from core.utils.clock import ScaledClock
from core.utils.credential_manager import CredentialManager


def venue_clock(base_url: str) -> tuple[ScaledClock, float]:
    """Read the exchange's clock and its speed."""
    with urllib.request.urlopen(f"{base_url}/clock", timeout=10) as answer:
        facts = json.load(answer)
    clock = ScaledClock(
        start_ns=int(facts["start_ns"]),
        speed=float(facts["speed"]),
        anchor_monotonic_ns=int(facts["anchor_monotonic_ns"]),
    )
    return clock, float(facts["speed"])


def main(mode: str, port: str, directory: Path) -> int:
    """Run until stopped; the exit code is the session's."""
    base_url = f"http://127.0.0.1:{port}"
    clock, speed = venue_clock(base_url)
    timer_seconds = compose.timer_seconds_of(speed)
    paths = {
        "state_dir": directory / "state",
        "trading_path": directory / "trading.json",
        "strategies_path": directory / "strategies.json",
    }
    if mode == "paper":
        run = run_paper(
            PaperOptions(base_url=base_url, **paths),
            on_ready=lambda session: None,
            clock=clock,
            timer_seconds=timer_seconds,
        )
    else:
        run = run_live(
            LiveOptions(mode=Mode.TESTNET, base_url=base_url, **paths),
            on_ready=lambda session: None,
            credentials=CredentialManager(paths=()),
            clock=clock,
            timer_seconds=timer_seconds,
        )
    return int(asyncio.run(run).exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
