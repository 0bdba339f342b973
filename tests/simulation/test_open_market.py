"""Markets by name: what the grammar opens, what it refuses and how it says so."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from core.model.errors import DataFileError
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.open import open_market
from core.simulation.market.shifted_source import ShiftedSource
from core.simulation.market.source import ReactiveSource
from core.simulation.market.spot_shadow import SpotShadow, spot_pairs
from core.simulation.market.universe import SAMPLE_DIR

CANDLES = SAMPLE_DIR / "candles_1m"
TICKS = SAMPLE_DIR / "ticks"
TRADES = TICKS / "BTC_2024-08-08_trades.parquet"


@pytest.mark.parametrize(
    ("spec", "coins"),
    [
        ("sample", ("BTC", "ETH", "SOL")),
        ("ticks", ("BTC",)),
        (f"ticks:ETH={TICKS / 'BTC_2024-08-08_l2_updates.parquet'},{TRADES}", ("ETH",)),
        (f"trades:BTC={TRADES}", ("BTC",)),
        ("synthetic:coins=BTC+HYPE;days=1", ("BTC", "HYPE")),
        (f"file:{CANDLES / 'BTC.parquet'}", ("BTC",)),
        (f"file:DOGE={CANDLES / 'SOL.parquet'}", ("DOGE",)),
    ],
)
def test_every_kind_opens_and_plays(spec: str, coins: tuple[str, ...]) -> None:
    source = open_market(spec, with_spot=False)
    assert source.coins == coins
    venue = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    for tick in itertools.islice(source.ticks(), 300):
        venue.apply_market(tick)
    assert all(venue.mark_px(coin) > 0 for coin in coins[:1])


def test_spot_pairs_follow_their_perpetuals() -> None:
    source = open_market("sample", coins=("BTC",))
    pair = spot_pairs()["BTC"]
    assert source.coins == ("BTC", pair.coin)
    venue = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    for tick in itertools.islice(source.ticks(), 200):
        venue.apply_market(tick)
        if tick.coin == pair.coin:
            assert tick.bids[0][0] < tick.asks[0][0]
            assert all(pair.is_px_on_grid(px) for px, _ in (*tick.bids, *tick.asks))
    perp, spot = venue.oracle_px("BTC") / 10, venue.oracle_px(pair.coin) / pair.px_scale
    assert spot == pytest.approx(perp, rel=2e-5)
    bars = source.candles_before(pair.coin, 60 * 10**9, source.start_ns, 5)
    assert len(bars) == 5 and bars[0].close_px > 0


def test_wrappers_let_the_source_hear_of_trades() -> None:
    inner = open_market("synthetic:coins=BTC;days=1", with_spot=False)
    shadow = SpotShadow(ShiftedSource(inner, 0))
    assert isinstance(shadow, ReactiveSource)
    ticks, twin = inner.ticks(), open_market("synthetic:coins=BTC;days=1", with_spot=False).ticks()
    assert next(ticks) == next(twin)
    pair = spot_pairs()["BTC"]
    shadow.react(pair.coin, lots_signed=10**7, px=90_000 * pair.px_scale, ts_ns=inner.start_ns)
    assert next(ticks).asks[0][0] > next(twin).asks[0][0]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("sampel", "did you mean sample"),
        ("sample:x", "end after its name"),
        ("file:", "named after the colon"),
        ("file:nowhere.csv", "should exist"),
        ("synthetic:dayz=3", "did you mean days"),
        ("synthetic:days=x", "should be a number"),
        ("ticks:BTC", "two files"),
        ("trades:", "named after the colon"),
        (f"trades:NOPE={TRADES}", "NOPE"),
        (f"trades:BTC={CANDLES / 'BTC.parquet'}", "px"),
        ("session:", "should be named"),
    ],
)
def test_bad_names_say_what_was_expected(spec: str, text: str) -> None:
    with pytest.raises(DataFileError, match=text):
        open_market(spec)


def test_two_files_of_one_coin_are_refused(tmp_path: Path) -> None:
    path = CANDLES / "BTC.parquet"
    with pytest.raises(DataFileError, match="BTC should have one file"):
        open_market(f"file:{path},BTC={path}")
