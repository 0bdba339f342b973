"""The generated market: its statistics, its grid, its seed, and that it reacts forwards only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from core.model.errors import DataFileError
from core.model.time import NS_PER_MIN, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.reaction import tell_trades
from core.simulation.market.synthetic_source import (
    MODELS,
    START_NS,
    STEPS,
    TICK_NS,
    SyntheticSource,
)
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import OUTSIDE, TradeOutput

DAY = 86_400 * NS_PER_S // TICK_NS


def first(source: SyntheticSource, count: int) -> list[MarketTick]:
    return list(itertools.islice(source.ticks(), count))


def returns(source: SyntheticSource, coin: str, count: int) -> np.ndarray:
    ticks = itertools.islice((t for t in source.ticks() if t.coin == coin), count)
    return np.diff(np.log([tick.oracle_px for tick in ticks]))


@pytest.fixture(scope="module")
def day() -> SyntheticSource:
    return SyntheticSource(("BTC", "ETH"), seed=11, days=1)


def test_same_seed_same_bytes_another_seed_another_market() -> None:
    one = first(SyntheticSource(("BTC", "SOL"), seed=5), 500)
    assert one == first(SyntheticSource(("BTC", "SOL"), seed=5), 500)
    assert one != first(SyntheticSource(("BTC", "SOL"), seed=6), 500)


def test_every_price_is_on_the_grid_and_no_book_is_crossed(day: SyntheticSource) -> None:
    listed = {i.coin: i for i in day.instruments}
    last_ns = 0
    for tick in first(day, 4_000):
        instrument = listed[tick.coin]
        assert tick.ts_ns >= last_ns
        last_ns = tick.ts_ns
        assert tick.bids[0][0] < tick.asks[0][0]
        prices = [px for px, _ in (*tick.bids, *tick.asks)] + [px for px, _, _ in tick.trades]
        assert all(instrument.is_px_on_grid(px) for px in prices)
        assert all(lots > 0 for _, lots in (*tick.bids, *tick.asks))


def test_coins_move_together_with_heavy_tails(day: SyntheticSource) -> None:
    btc, eth = returns(day, "BTC", DAY - 1), returns(day, "ETH", DAY - 1)
    assert 0.7 < np.corrcoef(btc, eth)[0, 1] < 0.9
    yearly = btc.std() * np.sqrt(365 * DAY)
    assert 0.15 < yearly < 1.5
    excess = ((btc - btc.mean()) ** 4).mean() / btc.std() ** 4 - 3.0
    assert excess > 0.5, f"heavy tails wanted, excess kurtosis was {excess:.2f}"


def test_weather_lasts_and_loud_half_hours_are_thin() -> None:
    source = SyntheticSource(("BTC",), seed=3, days=3)
    ticks = list(source.ticks())
    assert len(ticks) == 3 * DAY
    blocks = [ticks[i : i + STEPS] for i in range(0, len(ticks), STEPS)]
    # The median does not hear the jumps.
    loudness = np.array(
        [np.median(np.abs(np.diff(np.log([t.oracle_px for t in block])))) for block in blocks]
    )
    depth = np.array([np.mean([t.asks[0][1] + t.bids[0][1] for t in block]) for block in blocks])
    volume = np.array([sum(n for t in block for _, n, _ in t.trades) for block in blocks])
    assert loudness.max() > 3 * loudness.min()
    assert np.corrcoef(loudness[1:], loudness[:-1])[0, 1] > 0.3
    assert np.corrcoef(loudness, depth)[0, 1] < -0.5
    assert np.corrcoef(loudness, volume)[0, 1] > 0.3


def test_the_premium_comes_back_and_the_day_brings_its_volume(day: SyntheticSource) -> None:
    ticks = [t for t in day.ticks() if t.coin == "BTC"]
    premium = np.array([(t.bids[0][0] + t.asks[0][0]) / 2 / t.oracle_px - 1.0 for t in ticks])
    assert abs(premium.mean()) < 0.0003 and 0.0001 < premium.std() < 0.001
    scale = 10 ** (6 - 5) * 10**5
    traded = sum(px * lots for t in ticks for px, lots, _ in t.trades) / scale
    assert 0.3 < traded / MODELS["BTC"].volume_usdc < 3.0


@pytest.mark.parametrize("coin", ["BTC", "DOGE"])
def test_wild_prices_stay_on_the_grid_and_above_nothing(coin: str) -> None:
    source = SyntheticSource((coin,), seed=1, days=3, volatility=20.0)
    instrument = next(i for i in source.instruments if i.coin == coin)
    for tick in itertools.islice(source.ticks(), 0, None, 97):
        assert tick.oracle_px > 0 and tick.asks
        prices = [px for px, _ in (*tick.bids, *tick.asks)]
        assert all(px > 0 and instrument.is_px_on_grid(px) for px in prices)


def test_history_ends_where_the_market_begins(day: SyntheticSource) -> None:
    bars = day.candles_before("BTC", NS_PER_MIN, day.start_ns, 100)
    assert len(bars) == 100 and bars[-1].open_ns == day.start_ns - NS_PER_MIN
    tick = first(day, 1)[0]
    assert abs(tick.oracle_px / bars[-1].close_px - 1.0) < 0.01
    assert all(b.low_px <= min(b.open_px, b.close_px) for b in bars)


def test_it_begins_at_any_minute() -> None:
    start_ns = START_NS + 17 * NS_PER_MIN
    source = SyntheticSource(("BTC",), days=1, start_ns=start_ns + 5 * NS_PER_S)
    bars = source.candles_before("BTC", NS_PER_MIN, start_ns, 30)
    assert [bar.open_ns for bar in bars] == [start_ns + n * NS_PER_MIN for n in range(-30, 0)]
    ticks = list(source.ticks())
    assert (ticks[0].ts_ns, len(ticks)) == (start_ns, DAY)
    assert abs(ticks[0].oracle_px / bars[-1].close_px - 1.0) < 0.01


def moved_pair(seed: int) -> tuple[SyntheticSource, Iterator[MarketTick], Iterator[MarketTick]]:
    """Return a source, its ticks, and the ticks of a twin that nobody disturbs."""
    moved = SyntheticSource(("BTC",), seed=seed)
    return moved, moved.ticks(), SyntheticSource(("BTC",), seed=seed).ticks()


def buy(source: SyntheticSource, *, btc: int, tick: int) -> None:
    source.react(
        "BTC", lots_signed=btc * 100_000, px=900_000, ts_ns=source.start_ns + tick * TICK_NS
    )


def lift(after: MarketTick, before: MarketTick) -> float:
    return after.asks[-1][0] / before.asks[-1][0] - 1.0


def test_a_local_purchase_lifts_what_comes_after_and_nothing_before() -> None:
    source, reacting, quiet = moved_pair(2)
    for _ in range(50):
        assert next(quiet) == next(reacting)
    buy(source, btc=100, tick=49)
    before, after = next(quiet), next(reacting)
    first_lift = lift(after, before)
    assert 0.0005 < first_lift < 0.005
    assert sum(n for _, n in after.asks) < sum(n for _, n in before.asks)
    assert after.bids[0][0] < after.asks[0][0]
    hour = 3_600 * NS_PER_S // TICK_NS
    before = next(itertools.islice(quiet, hour - 1, None))
    after = next(itertools.islice(reacting, hour - 1, None))
    assert 0.0 < after.oracle_px / before.oracle_px - 1.0 < first_lift / 10
    assert 0.0 < lift(after, before) < first_lift / 5
    assert sum(n for _, n in after.asks) == sum(n for _, n in before.asks)


def test_a_trade_in_pieces_moves_as_much_as_a_whole_one() -> None:
    whole, whole_ticks, _ = moved_pair(2)
    pieces, piece_ticks, _ = moved_pair(2)
    buy(whole, btc=100, tick=0)
    for _ in range(10):
        buy(pieces, btc=10, tick=0)
    assert list(itertools.islice(whole_ticks, 50)) == list(itertools.islice(piece_ticks, 50))


def test_selling_what_was_bought_at_once_leaves_only_eaten_depth() -> None:
    source, reacting, quiet = moved_pair(2)
    buy(source, btc=5, tick=0)
    buy(source, btc=-5, tick=0)
    after, before = next(reacting), next(quiet)
    assert after.oracle_px == before.oracle_px
    assert after.bids[-1][0] == before.bids[-1][0] and after.asks[-1][0] == before.asks[-1][0]
    assert after.asks != before.asks and after.bids != before.bids


def test_another_play_forgets_what_was_traded() -> None:
    source, reacting, quiet = moved_pair(2)
    buy(source, btc=100, tick=0)
    assert next(reacting) != next(quiet)
    assert next(source.ticks()) == next(SyntheticSource(("BTC",), seed=2).ticks())


@pytest.mark.parametrize("is_taker", [True, False])
def test_only_local_takers_are_told(is_taker: bool) -> None:
    source, reacting, quiet = moved_pair(2)
    trade = TradeOutput(
        coin="BTC",
        px=900_000,
        lots=10_000_000,
        is_buy=is_taker,
        ts_ns=source.start_ns,
        tid=1,
        hash="",
        users=("0x" + "1" * 40, OUTSIDE),
    )
    tell_trades(source, [trade])
    assert (next(reacting) != next(quiet)) is is_taker


def test_the_venue_computes_mark_and_funding_for_it() -> None:
    source = SyntheticSource(("BTC",), seed=4, days=0.1)
    venue = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    for tick in source.ticks():
        venue.apply_market(tick)
    assert abs(venue.mark_px("BTC") / venue.oracle_px("BTC") - 1.0) < 0.005
    paid = venue.premiums.paid("BTC")
    assert paid is not None and abs(paid.rate_e10) < 400_000_000


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"coins": ()}, "at least one coin"),
        ({"coins": ("NOPE",)}, "NOPE"),
        ({"days": 0}, "days should be above 0"),
        ({"volatility": 21}, "volatility should be"),
    ],
)
def test_bad_words_are_named(words: dict[str, object], text: str) -> None:
    with pytest.raises(DataFileError, match=text):
        SyntheticSource(**words)  # type: ignore[arg-type]
