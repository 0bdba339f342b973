"""A market from candles: exact, seeded, bounded to its past, on the venue's grid."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.errors import DataFileError
from core.model.time import NS_PER_HOUR, NS_PER_MIN
from core.simulation.market.candle_source import CandleSource, assumed_funding
from core.simulation.market.candles import CandleBuilder
from core.simulation.market.sample_source import SAMPLE_FIRST_NS, SAMPLE_START_NS, SampleSource
from core.simulation.market.shifted_source import ShiftedSource, days_between
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import instrument_of, recorded_instruments
from tests.simulation_server.venue import START_NS, candle_source, walk_rows, write_candles


@pytest.fixture(scope="module")
def sample() -> SampleSource:
    return SampleSource(end_ns=SAMPLE_START_NS + 5 * NS_PER_HOUR)


@pytest.fixture(scope="module")
def sample_ticks(sample: SampleSource) -> list[MarketTick]:
    return list(sample.ticks())


def test_ticks_are_ordered_and_books_are_sound(sample_ticks: list[MarketTick]) -> None:
    instruments = {i.coin: i for i in recorded_instruments()}
    last_ns = 0
    for tick in sample_ticks:
        assert tick.ts_ns >= last_ns
        last_ns = tick.ts_ns
        instrument = instruments[tick.coin]
        bids, asks = [px for px, _ in tick.bids], [px for px, _ in tick.asks]
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert bids[0] < asks[0]
        assert all(lots > 0 for _, lots in (*tick.bids, *tick.asks))
        assert all(instrument.is_px_on_grid(px) for px in (*bids, *asks))
        assert bids[0] <= tick.mark_px <= asks[0]
        for px, lots, _ in tick.trades:
            assert lots > 0
            assert instrument.is_px_on_grid(px)


def test_candles_built_from_ticks_equal_the_files(
    sample: SampleSource, sample_ticks: list[MarketTick]
) -> None:
    for coin in sample.coins:
        builder = CandleBuilder(NS_PER_MIN)
        built = {}
        for tick in sample_ticks:
            if tick.coin == coin:
                candle = builder.add(tick)
                built[candle.open_ns] = candle
        count = 5 * 60
        wanted = sample.candles_before(coin, NS_PER_MIN, sample.end_ns, count)
        assert [built[candle.open_ns] for candle in wanted] == list(wanted)
        assert len(wanted) == count


def test_history_closes_before_the_moment_asked(sample: SampleSource) -> None:
    moment_ns = sample.start_ns + 7 * NS_PER_MIN + 1
    candles = sample.candles_before("ETH", 5 * NS_PER_MIN, moment_ns, 10)
    assert len(candles) == 10
    assert candles[-1].open_ns + 5 * NS_PER_MIN == sample.start_ns + 5 * NS_PER_MIN
    assert sample.candles_before("ETH", 30_000_000_000, moment_ns, 10) == ()


def test_default_replay_begins_with_two_days_of_history(sample: SampleSource) -> None:
    days = sample.candles_before("BTC", NS_PER_MIN, sample.start_ns, 5_000)
    assert len(days) == 2 * 24 * 60
    assert days[0].open_ns == SAMPLE_FIRST_NS


def test_first_tick_shows_the_market_as_it_stood(sample_ticks: list[MarketTick]) -> None:
    opening = sample_ticks[:3]
    assert {tick.coin for tick in opening} == {"BTC", "ETH", "SOL"}
    assert all(tick.ts_ns == SAMPLE_START_NS and not tick.trades for tick in opening)


def test_later_start_shows_the_same_ticks(sample_ticks: list[MarketTick]) -> None:
    start_ns = SAMPLE_START_NS + 90 * NS_PER_MIN + 17_000_000_000
    later = SampleSource(start_ns=start_ns, end_ns=SAMPLE_START_NS + 5 * NS_PER_HOUR)
    wanted = [tick for tick in sample_ticks if tick.ts_ns >= start_ns]
    assert list(later.ticks())[3:] == wanted


def test_same_seed_same_ticks_other_seed_others() -> None:
    end_ns = SAMPLE_START_NS + NS_PER_HOUR
    first = list(SampleSource(["SOL"], end_ns=end_ns, seed=3).ticks())
    again = list(SampleSource(["SOL"], end_ns=end_ns, seed=3).ticks())
    other = list(SampleSource(["SOL"], end_ns=end_ns, seed=4).ticks())
    assert first == again
    assert first != other


def test_a_coin_alone_moves_as_in_company(sample_ticks: list[MarketTick]) -> None:
    alone = SampleSource(["SOL"], end_ns=SAMPLE_START_NS + NS_PER_HOUR)
    wanted = [t for t in sample_ticks if t.coin == "SOL" and t.ts_ns < alone.end_ns]
    assert list(alone.ticks()) == wanted


@settings(max_examples=15)
@given(seed=st.integers(0, 1_000), cut=st.integers(40, 299))
def test_hiding_the_future_changes_no_past_tick(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("future")
    rows = walk_rows(seed, 300)
    changed = [*rows[:cut], *((ts, 5e4, 6e4, 4e4, 5e4, 1e3) for ts, *_ in rows[cut:])]
    cut_ns = rows[cut][0] * 1_000_000
    ticks = []
    for name, data in (("a.csv", rows), ("b.csv", changed)):
        source = candle_source(folder / name, data, seed=seed)
        ticks.append([tick for tick in source.ticks() if tick.ts_ns < cut_ns])
    assert ticks[0] == ticks[1]
    assert len(ticks[0]) == 6 * cut


def test_a_running_bar_tells_nothing_before_it_happens(tmp_path: Path) -> None:
    """Neither its volume nor its extremes show in books, funding or its opening price."""
    rows = walk_rows(3, 100)
    ts, open_, high, low, close, volume = rows[-1]
    louder = [*rows[:-1], (ts, open_, high, low, close, volume * 100)]
    wilder = [*rows[:-1], (ts, open_, high + 5_000, low - 5_000, close, volume)]
    plain, loud, wild = (
        list(candle_source(tmp_path / f"{name}.csv", data).ticks())[-6:]
        for name, data in (("plain", rows), ("loud", louder), ("wild", wilder))
    )
    for tick, other in zip(plain, loud, strict=True):
        assert (tick.bids, tick.asks, tick.mark_px) == (other.bids, other.asks, other.mark_px)
        assert tick.funding_rate_1h == other.funding_rate_1h
    opening, other = plain[0], wild[0]
    assert (opening.ts_ns, opening.bids, opening.asks) == (other.ts_ns, other.bids, other.asks)
    assert opening.funding_rate_1h == other.funding_rate_1h


def test_quiet_spreads_are_mostly_the_smallest_possible(sample_ticks: list[MarketTick]) -> None:
    instruments = {i.coin: i for i in recorded_instruments()}
    steps = [
        (tick.asks[0][0] - tick.bids[0][0]) // instruments[tick.coin].tick_units_at(tick.bids[0][0])
        for tick in sample_ticks
    ]
    assert min(steps) == 1
    assert max(steps) <= 20
    assert 0.4 < steps.count(1) / len(steps) < 0.9


def test_wider_bars_are_walked_too(tmp_path: Path) -> None:
    rows = [(ts + i * 240_000, *rest) for i, (ts, *rest) in enumerate(walk_rows(1, 100))]
    source = candle_source(tmp_path / "a.csv", rows)
    builder = CandleBuilder(5 * NS_PER_MIN)
    built = {}
    for tick in source.ticks():
        candle = builder.add(tick)
        built[candle.open_ns] = candle
    wanted = source.candles_before("BTC", 5 * NS_PER_MIN, source.end_ns, 100)
    assert list(built.values()) == list(wanted)
    assert source.candles_before("BTC", NS_PER_MIN, source.end_ns, 100) == ()


def test_funding_stays_at_interest_in_a_flat_market_and_follows_a_trend() -> None:
    flat = assumed_funding(np.full(2_000, 100.0), 60.0)
    assert set(flat.tolist()) == {0.0000125}
    rising = assumed_funding(100.0 * 1.0002 ** np.arange(2_000.0), 60.0)
    falling = assumed_funding(100.0 * 0.9998 ** np.arange(2_000.0), 60.0)
    assert rising[-1] > 0.0000125 > falling[-1]
    # premium p = 0.1 * (mean of 60 over mean of 480 - 1); F8h = p - 0.0005 when far above 0.0001
    closes = 100.0 * 1.0002 ** np.arange(1_999.0)
    premium = 0.1 * (closes[-60:].mean() / closes[-480:].mean() - 1.0)
    assert rising[-1] == pytest.approx((premium - 0.0005) / 8.0, abs=1e-10)


def test_recorded_rates_are_used_where_given(tmp_path: Path) -> None:
    hour_ms = 3_600_000
    first_ms = START_NS // 1_000_000
    (tmp_path / "f.csv").write_text(
        f"ts_ms,rate\n{first_ms + hour_ms + 40},0.0001\n{first_ms + 2 * hour_ms + 12},-0.0002\n"
    )
    path = write_candles(tmp_path / "a.csv", walk_rows(5, 150))
    source = CandleSource({"BTC": path}, funding={"BTC": tmp_path / "f.csv"})
    rates = {tick.ts_ns // NS_PER_HOUR: tick.funding_rate_1h for tick in source.ticks()}
    assert list(rates.values()) == [0.0001, -0.0002, -0.0002]
    assert not any("assumed" in line for line in source.assumptions)


def test_refusals_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="sample holds BTC, ETH, SOL, was asked for DOGE"):
        SampleSource(["BTC", "DOGE"])
    with pytest.raises(DataFileError, match="should overlap the span asked for"):
        SampleSource(start_ns=SAMPLE_FIRST_NS + 400 * 24 * NS_PER_HOUR)
    path = write_candles(tmp_path / "a.csv", walk_rows(1, 10))
    with pytest.raises(DataFileError, match="did you mean kPEPE"):
        CandleSource({"KPEPE": path})
    with pytest.raises(DataFileError, match="at least one coin"):
        CandleSource({})


def test_instruments_are_the_recorded_universe() -> None:
    btc, sol = instrument_of("BTC"), instrument_of("SOL")
    assert (btc.asset, btc.sz_decimals, btc.leverage_max) == (0, 5, 40)
    assert (sol.asset, sol.sz_decimals, sol.leverage_max) == (5, 2, 20)
    assert [(t.notional_lower_micro, t.leverage_max) for t in btc.margin_tiers] == [
        (0, 40),
        (150_000_000_000_000, 20),
    ]
    assert [i.asset for i in recorded_instruments()] == list(range(203))
    assert instrument_of("MATIC").is_delisted
    assert instrument_of("HPOS").is_isolated_only
    assert [t.leverage_max for t in instrument_of("ATOM").margin_tiers] == [5]


def test_shifted_market_is_the_same_market_on_other_days(sample: SampleSource) -> None:
    now_ns = 1_790_000_000_123_456_789
    offset_ns = days_between(sample.start_ns, now_ns)
    moved = ShiftedSource(sample, offset_ns)
    assert 0 <= now_ns - moved.start_ns < 24 * NS_PER_HOUR
    pairs = zip(islice(sample.ticks(), 500), islice(moved.ticks(), 500), strict=True)
    for tick, other in pairs:
        assert other.ts_ns - tick.ts_ns == offset_ns
        assert (other.bids, other.asks, other.trades) == (tick.bids, tick.asks, tick.trades)
    here = sample.candles_before("BTC", NS_PER_HOUR, sample.start_ns, 3)
    there = moved.candles_before("BTC", NS_PER_HOUR, moved.start_ns, 3)
    assert [c.open_ns + offset_ns for c in here] == [c.open_ns for c in there]
    assert moved.assumptions[-1].endswith("days later than recorded")
