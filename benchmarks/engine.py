"""Steps per second: the events of a recorded run through a fresh engine, nothing else."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.timing import Timing
from core.model.events import AnyEvent, SessionStarted
from core.model.settings import EngineConfig
from core.model.time import NS_PER_HOUR
from core.runtime.backtest import replay_market
from core.runtime.compose import build_engine
from core.runtime.options import BacktestOptions
from core.simulation.market.sample_source import SAMPLE_START_NS, SampleSource
from core.utils.journal_reader import JournalReader

ROUNDS = 5


class Feed(msgspec.Struct, frozen=True):
    """A stretch of the sample at a density of ticks."""

    name: str
    hours: float
    ticks_per_bar: int


FEEDS = (
    Feed("4 changes a second and coin, as the venue sends", 1, 240),
    Feed("a tick in 10 s and coin, as backtests replay candles", 12, 6),
)


def run() -> list[Timing]:
    """Record each feed once, then time the engine alone over the same events, round after round."""
    timings = []
    for feed in FEEDS:
        events, whole_s = _record(feed)
        spent = sorted(_replay(events) / len(events) for _ in range(ROUNDS))
        count = len(events)
        timings += [
            Timing(
                f"engine step, {feed.name}",
                statistics.median(spent),
                spent[0],
                spent[-1],
                count * ROUNDS,
            ),
            Timing(f"backtest event, {feed.name}", *[whole_s / count] * 3, count),
        ]
    return timings


def _record(feed: Feed) -> tuple[list[AnyEvent], float]:
    config = EngineConfig()
    source = SampleSource(
        end_ns=SAMPLE_START_NS + round(feed.hours * NS_PER_HOUR), ticks_per_bar=feed.ticks_per_bar
    )
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        outcome = replay_market(BacktestOptions(state_dir=Path(folder)), config, source)
        spent = time.perf_counter() - started
        with JournalReader(outcome.journal_path) as reader:
            return list(reader.events()), spent


def _replay(events: list[AnyEvent]) -> float:
    first = events[0]
    assert isinstance(first, SessionStarted), "invariant: a journal begins with its session"
    engine = build_engine(EngineConfig(), account=first.account)
    started = time.perf_counter()
    for event in events:
        engine.process(event)
    return time.perf_counter() - started
