"""Backtests end to end, and journals that must replay to the same bytes or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from core.analytics.pnl_analyzer import PnLAnalyzer
from core.model.codes import Mode, OrderStatus, TradingState
from core.model.commands import ModifyOrder, PlaceOrder
from core.model.errors import ConfigError, DataFileError, ExitCode, JournalError, ReplayError
from core.model.events import AnyEvent, OrderFilled, SessionEnded, SessionStarted
from core.model.settings import EngineConfig
from core.model.step import Step
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN, NS_PER_MS
from core.runtime.backtest import run_backtest
from core.runtime.options import BacktestOptions, Outcome
from core.runtime.replay import replay_journal
from core.simulation.market.sample_source import SAMPLE_START_NS
from core.simulation.market.universe import SAMPLE_DIR
from core.simulation.wire.latency import LatencySettings
from core.utils.journal_reader import JournalReader
from tests.simulation_server.venue import START_NS, walk_rows, write_candles

FIRST_NS = SAMPLE_START_NS + 3 * NS_PER_DAY
HOURS = 8
EQUITY_MICRO = 10_000_000_000
ENTRY_NS_MIN = int(LatencySettings().entry_floor_ms * NS_PER_MS)


def backtest(state_dir: Path, *, hours: int = HOURS, **changes: Any) -> Outcome:
    fields: dict[str, Any] = {
        "coins": ("BTC",),
        "start_ns": FIRST_NS,
        "end_ns": FIRST_NS + hours * NS_PER_HOUR,
        "state_dir": state_dir,
    }
    return run_backtest(BacktestOptions(**{**fields, **changes}))


def events_of(outcome: Outcome, *, before_ns: int | None = None) -> list[AnyEvent]:
    """All events, without the session's name, which says when on the wall it ran."""
    with JournalReader(outcome.journal_path) as reader:
        events = [e for e in reader.events() if before_ns is None or e.ts_recv_ns < before_ns]
    assert isinstance(events[0], SessionStarted)
    return [msgspec.structs.replace(events[0], session=""), *events[1:]]


def steps_of(outcome: Outcome, *, before_ns: int | None = None) -> list[Step]:
    with JournalReader(outcome.journal_path) as reader:
        return [s for s in reader.steps() if before_ns is None or s.ts_ns < before_ns]


def orders_of(outcome: Outcome) -> list[tuple[Step, PlaceOrder]]:
    """All orders asked for, with the step that asked; a modified order is a new one."""
    return [
        (step, c.order if isinstance(c, ModifyOrder) else c)
        for step in steps_of(outcome)
        for c in step.commands
        if isinstance(c, PlaceOrder | ModifyOrder)
    ]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    result = backtest(tmp_path_factory.mktemp("backtest"))
    assert len(result.record.fills) >= 10, "the tests below need trades to look at"
    return result


# --- a backtest ---------------------------------------------------------------------------------


def test_a_backtest_runs_to_the_end_of_its_data(outcome: Outcome) -> None:
    assert outcome.exit_code is ExitCode.OK
    assert outcome.reason == "end of data"
    assert outcome.record.mode is Mode.BACKTEST
    assert outcome.record.start_ns == FIRST_NS
    assert outcome.record.end_ns >= FIRST_NS + HOURS * NS_PER_HOUR
    assert any("Binance" in sentence for sentence in outcome.record.assumptions)
    last = events_of(outcome)[-1]
    assert isinstance(last, SessionEnded)
    assert last.reason == "end of data"


def test_a_backtest_ends_flat_with_nothing_open(outcome: Outcome) -> None:
    assert sum(f.fill.signed_lots for f in outcome.record.fills) == 0
    is_open = {OrderStatus.WORKING.value, OrderStatus.IN_FLIGHT.value}
    assert not is_open & set(outcome.record.order_counts)


def test_the_change_of_equity_is_the_sum_of_all_cash_flows(outcome: Outcome) -> None:
    record = outcome.record
    bought = sum(f.fill.signed_lots * f.fill.px for f in record.fills)
    fees = sum(f.fill.fee_micro for f in record.fills)
    funding = sum(row.funding_micro for row in record.funding)
    assert record.equity[0].equity_micro == EQUITY_MICRO
    assert record.equity[-1].equity_micro - EQUITY_MICRO == funding - fees - bought
    assert fees > 0


def test_the_attribution_explains_the_change_of_equity_exactly(outcome: Outcome) -> None:
    parts = PnLAnalyzer().analyze_pnl(outcome.record)
    assert parts.equity_change_micro == parts.net_pnl_micro
    assert (parts.mark_micro, parts.transfer_micro, parts.open_pnl_micro) == (0, 0, 0)
    for table in (parts.by_strategy, parts.by_coin, parts.by_regime, parts.by_side, parts.by_hour):
        assert sum(row.net_pnl_micro for row in table) == parts.equity_change_micro


def test_no_fill_goes_beyond_its_order(outcome: Outcome) -> None:
    lots = {order.cloid: order.lots for _, order in orders_of(outcome)}
    filled: dict[str | None, int] = {}
    for row in outcome.record.fills:
        filled[row.fill.cloid] = filled.get(row.fill.cloid, 0) + row.fill.lots
    assert all(count <= lots[str(cloid)] for cloid, count in filled.items())


def test_no_order_is_filled_by_the_tick_that_prompted_it(outcome: Outcome) -> None:
    asked_ns: dict[str, int] = {}
    for step, order in orders_of(outcome):
        asked_ns.setdefault(order.cloid, step.ts_ns)
    for fill in (row.fill for row in outcome.record.fills):
        assert fill.ts_exch_ns >= asked_ns[str(fill.cloid)] + ENTRY_NS_MIN


def test_every_opening_order_was_sent_while_active(outcome: Outcome) -> None:
    opening = [s.trading_state for s, order in orders_of(outcome) if not order.reduce_only]
    assert set(opening) == {TradingState.ACTIVE}


def test_progress_grows_to_one(tmp_path: Path) -> None:
    seen: list[float] = []
    options = BacktestOptions(
        coins=("BTC",), start_ns=FIRST_NS, end_ns=FIRST_NS + NS_PER_HOUR, state_dir=tmp_path
    )
    run_backtest(options, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] < 0.1
    assert seen[-1] == 1.0


def test_the_same_seed_gives_the_same_journal(outcome: Outcome, tmp_path: Path) -> None:
    again = backtest(tmp_path)
    assert events_of(again) == events_of(outcome)
    assert steps_of(again) == steps_of(outcome)
    assert again.record.fills == outcome.record.fills


def test_another_seed_gives_other_fills(outcome: Outcome, tmp_path: Path) -> None:
    other = backtest(tmp_path, seed=8)
    assert [f.fill for f in other.record.fills] != [f.fill for f in outcome.record.fills]


# --- hiding the future --------------------------------------------------------------------------


def test_cutting_the_future_off_changes_nothing_before(outcome: Outcome, tmp_path: Path) -> None:
    half = backtest(tmp_path, hours=HOURS // 2)
    # The shorter run winds down after its last tick, seconds before the end.
    cut_ns = FIRST_NS + HOURS // 2 * NS_PER_HOUR - NS_PER_MIN
    known = events_of(outcome, before_ns=cut_ns)
    assert len(known) > 5_000
    assert events_of(half, before_ns=cut_ns) == known
    assert steps_of(half, before_ns=cut_ns) == steps_of(outcome, before_ns=cut_ns)


def test_another_future_changes_nothing_before(tmp_path: Path) -> None:
    cut_ns = FIRST_NS + 2 * NS_PER_HOUR
    candles = pl.read_parquet(SAMPLE_DIR / "candles_1m" / "BTC.parquet")
    time, *prices = (candles.columns[0], "open", "high", "low", "close")
    scale = NS_PER_MS if candles[time][0] < 10**14 else 1
    is_future = pl.col(time).cast(pl.Int64) * scale >= cut_ns
    fallen = candles.with_columns(
        [pl.when(is_future).then((pl.col(p) * 0.9).round(0)).otherwise(p).alias(p) for p in prices]
    )
    runs = []
    for name, frame in (("risen", candles), ("fallen", fallen)):
        path = tmp_path / f"{name}.parquet"
        frame.write_parquet(path)
        runs.append(backtest(tmp_path / name, hours=4, data={"BTC": path}))
    risen, fell = runs
    assert events_of(risen, before_ns=cut_ns) == events_of(fell, before_ns=cut_ns)
    assert steps_of(risen, before_ns=cut_ns) == steps_of(fell, before_ns=cut_ns)
    assert events_of(risen) != events_of(fell), "the futures differ"


# --- unusable data ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda rows: rows[:0], "candle"),
        (lambda rows: [*rows[:5], rows[4], *rows[5:]], "row"),
        (lambda rows: [(rows[0][0], "nan", *rows[0][2:]), *rows[1:]], "row"),
        (lambda rows: [(*rows[0][:2], 1.0, *rows[0][3:]), *rows[1:]], "high"),
    ],
    ids=["empty", "repeated", "not a number", "high below open"],
)
def test_unusable_candles_are_refused_before_anything_is_written(
    spoil: Callable[[list[Any]], list[Any]], text: str, tmp_path: Path
) -> None:
    path = write_candles(tmp_path / "btc.csv", spoil(walk_rows(1, 60)))
    options = BacktestOptions(data={"BTC": path}, state_dir=tmp_path / "state")
    with pytest.raises(DataFileError, match=text):
        run_backtest(options)
    assert not (tmp_path / "state").exists()


def test_an_equity_under_its_floor_is_refused_at_the_start(tmp_path: Path) -> None:
    trading = tmp_path / "trading.json"
    trading.write_text('{"equity_floor_usdc": 5000}')
    options = BacktestOptions(state_dir=tmp_path, trading_path=trading, equity_usdc=5_000.0)
    with pytest.raises(ConfigError, match="expected below the equity at the start"):
        run_backtest(options)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    options = BacktestOptions(data={"BTC": tmp_path / "none.csv"}, state_dir=tmp_path)
    with pytest.raises(DataFileError, match=r"none\.csv"):
        run_backtest(options)


def test_a_span_outside_the_data_is_refused(tmp_path: Path) -> None:
    late = FIRST_NS + 1_000 * NS_PER_DAY
    with pytest.raises(DataFileError):
        backtest(tmp_path, start_ns=late, end_ns=late + NS_PER_HOUR)
    with pytest.raises(DataFileError):
        backtest(tmp_path, start_ns=FIRST_NS, end_ns=FIRST_NS)


def test_candles_from_a_file_of_ones_own_are_played(tmp_path: Path) -> None:
    path = write_candles(tmp_path / "btc.csv", walk_rows(3, 120, START_NS // NS_PER_MS))
    result = run_backtest(BacktestOptions(data={"BTC": path}, state_dir=tmp_path))
    assert result.exit_code is ExitCode.OK
    assert result.record.prices["BTC"]
    assert replay_journal(result.journal_path).event_count > 1_000


# --- replay -------------------------------------------------------------------------------------


def test_a_journal_replays_to_equal_steps_and_state(outcome: Outcome) -> None:
    seen: list[float] = []
    replayed = replay_journal(outcome.journal_path, on_progress=seen.append)
    with JournalReader(outcome.journal_path) as reader:
        checkpoints = dict(reader.checkpoints())
        assert replayed.event_count == reader.event_count
    assert replayed.session == outcome.record.session
    assert replayed.mode is Mode.BACKTEST
    assert replayed.step_count == len(steps_of(outcome))
    assert replayed.checkpoint_count == len(checkpoints) >= 3
    assert replayed.state_hash == checkpoints[replayed.event_count]
    assert seen
    assert seen == sorted(seen)


@pytest.fixture
def journal(outcome: Outcome, tmp_path: Path) -> Path:
    """A copy of a sound journal, to tamper with."""
    return Path(shutil.copy(outcome.journal_path, tmp_path / "journal.sqlite"))


def tamper(journal: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(journal) as db:
        assert db.execute(statement, values).rowcount == 1, "there was something to tamper with"
    db.close()


def first(journal: Path, statement: str) -> tuple[int, Any]:
    with sqlite3.connect(journal) as db:
        found: tuple[int, Any] = db.execute(statement).fetchone()
    db.close()
    return found


def change_a_step(journal: Path) -> None:
    seq, body = first(journal, "SELECT seq, body FROM steps ORDER BY seq LIMIT 1 OFFSET 99")
    step = msgspec.msgpack.decode(body, type=Step)
    body = msgspec.msgpack.encode(msgspec.structs.replace(step, ts_ns=step.ts_ns + 1))
    tamper(journal, "UPDATE steps SET body = ? WHERE seq = ?", body, seq)


def drop_a_step(journal: Path) -> None:
    seq, _ = first(journal, "SELECT seq, body FROM steps ORDER BY seq LIMIT 1 OFFSET 99")
    tamper(journal, "DELETE FROM steps WHERE seq = ?", seq)


def add_a_step(journal: Path) -> None:
    seq, body = first(journal, "SELECT max(seq), body FROM steps")
    step = msgspec.structs.replace(msgspec.msgpack.decode(body, type=Step), seq=seq + 1)
    tamper(journal, "INSERT INTO steps VALUES (?, ?)", seq + 1, msgspec.msgpack.encode(step))


def change_a_checkpoint(journal: Path) -> None:
    seq, _ = first(journal, "SELECT min(seq), state_hash FROM checkpoints")
    tamper(journal, "UPDATE checkpoints SET state_hash = ? WHERE seq = ?", "0" * 64, seq)


def add_a_checkpoint(journal: Path) -> None:
    tamper(journal, "INSERT INTO checkpoints VALUES (10000000, 'ab')")


def change_a_fill(journal: Path) -> None:
    query = "SELECT seq, body FROM events WHERE kind = 'OrderFilled' ORDER BY seq LIMIT 1"
    seq, body = first(journal, query)
    event = msgspec.msgpack.decode(body, type=AnyEvent)
    assert isinstance(event, OrderFilled)
    fill = msgspec.structs.replace(event.fill, px=event.fill.px + 10)
    body = msgspec.msgpack.encode(msgspec.structs.replace(event, fill=fill))
    tamper(journal, "UPDATE events SET body = ? WHERE seq = ?", body, seq)


@pytest.mark.parametrize(
    "change",
    [
        change_a_step,
        drop_a_step,
        add_a_step,
        change_a_checkpoint,
        add_a_checkpoint,
        change_a_fill,
    ],
    ids=lambda change: change.__name__,
)
def test_a_journal_that_was_tampered_with_does_not_replay(
    change: Callable[[Path], None], journal: Path
) -> None:
    change(journal)
    with pytest.raises(ReplayError, match="should"):
        replay_journal(journal)


def test_a_hole_in_the_events_is_an_unreadable_journal(journal: Path) -> None:
    tamper(journal, "DELETE FROM events WHERE seq = 1000")
    with pytest.raises(JournalError, match="event after 999 should be 1000, was 1001"):
        replay_journal(journal)


@pytest.mark.parametrize("at", [0, 1, 9])
def test_a_flipped_byte_in_an_event_does_not_pass(at: int, journal: Path) -> None:
    query = "SELECT seq, body FROM events WHERE kind = 'OrderFilled' ORDER BY seq LIMIT 1"
    seq, body = first(journal, query)
    flipped = body[:at] + bytes([body[at] ^ 0x40]) + body[at + 1 :]
    tamper(journal, "UPDATE events SET body = ? WHERE seq = ?", flipped, seq)
    with pytest.raises((ReplayError, JournalError)):
        replay_journal(journal)


def test_a_journal_begins_with_its_session(journal: Path) -> None:
    tamper(journal, "DELETE FROM events WHERE seq = 1")
    with pytest.raises(JournalError, match="should begin with SessionStarted"):
        replay_journal(journal)


def test_a_configuration_of_another_version_is_told_as_such(journal: Path) -> None:
    _, body = first(journal, "SELECT seq, body FROM events WHERE seq = 1")
    started = msgspec.msgpack.decode(body, type=AnyEvent)
    config = msgspec.json.decode(started.config_json)
    config["trading"]["forgotten_parameter"] = 1
    text = msgspec.json.encode(config).decode()
    body = msgspec.msgpack.encode(msgspec.structs.replace(started, config_json=text))
    tamper(journal, "UPDATE events SET body = ? WHERE seq = 1", body)
    with pytest.raises(JournalError, match="forgotten_parameter"):
        replay_journal(journal)


def test_the_configuration_in_the_journal_is_the_whole_one(outcome: Outcome) -> None:
    started = events_of(outcome)[0]
    assert isinstance(started, SessionStarted)
    config = msgspec.json.decode(started.config_json, type=EngineConfig)
    assert config.trading.coins == ("BTC",)


def test_a_missing_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"none\.sqlite"):
        replay_journal(tmp_path / "none.sqlite")
