"""How long a restart takes: ``python -m benchmarks.restart [EVENTS]`` (a million if unsaid).

Trades the shipped sample into a journal of that many events, breaks off as a crash would, at the
worst moment (just before the next snapshot is due), and rebuilds the state.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from core.model.codes import Mode
from core.model.settings import EngineConfig
from core.runtime import compose
from core.runtime.backtest import ACCOUNT
from core.runtime.in_process import InProcessRun, VirtualClock
from core.runtime.recovery import recover
from core.runtime.session import SNAPSHOT_EVERY
from core.runtime.snapshots import SnapshotStore
from core.runtime.warm_up import warm_up
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SampleSource
from core.simulation.wire.latency import LatencyModel

EVENTS = 1_000_000
COINS = ("BTC", "ETH", "SOL")
CASH_MICRO = 10_000_000_000


def left_behind(directory: Path, event_count: int) -> int:
    """Fill a session's folder and return the number of its last event."""
    source = SampleSource(COINS)
    config = compose.with_coins(EngineConfig(), COINS)
    clock = VirtualClock(source.start_ns)
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    exchange.fund(ACCOUNT, CASH_MICRO)
    exchange.drain()
    session = compose.build_session(
        mode=Mode.BACKTEST,
        config=config,
        account=ACCOUNT,
        clock=clock,
        directory=directory,
        seed=7,
        is_durable=False,
        snapshots=SnapshotStore(directory, session=directory.name),
    )
    run = InProcessRun(
        session,
        exchange,
        source,
        clock=clock,
        account=ACCOUNT,
        params=config.trading,
        latency=LatencyModel(7),
    )
    for _ in run.run():
        if session.seq >= event_count and session.seq % SNAPSHOT_EVERY > SNAPSHOT_EVERY * 0.98:
            break
    session.make_durable()
    return session.seq


def main(event_count: int) -> None:
    """Print what was rebuilt and how long it took."""
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "session"
        directory.mkdir()
        last_seq = left_behind(directory, event_count)
        started = time.perf_counter()
        left = recover(directory)
        seconds = time.perf_counter() - started
    print(
        f"restart: {last_seq} events in the journal, {left.replayed_count} of them replayed, "
        f"{len(left.packed) / 1e6:.2f} MB of state, {seconds:.2f} s"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS)
