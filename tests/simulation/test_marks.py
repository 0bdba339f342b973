"""The venue's own mark price and funding, against a slow twin and recorded contexts."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Tif
from core.model.instrument import Instrument, decimal_units
from core.model.time import NS_PER_HOUR, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import FundingOutput, OrderRequest
from core.simulation.venue.premium import RATE_E10, hourly_rate_e10, impact_pxs, premium_e10
from tests.reference import marks as twin
from tests.simulation.spot_kit import HYPE_PAIR, PAIRS, SpotMarket
from tests.simulation.venue_kit import ALICE, START_NS, USDC, Market, levels, limit, px

RECORDED = Path(__file__).parents[1] / "data" / "hyperliquid-recorded"
CONTEXTS = RECORDED / "gohl-metaAndAssetCtxs-2026-02.json"
COIN = Instrument("AAA", 0, 2, leverage_max=10)


def recorded_contexts() -> list[tuple[Instrument, dict[str, object]]]:
    meta, contexts = json.loads(CONTEXTS.read_text())["response"]
    pairs = zip(meta["universe"], contexts, strict=True)
    return [
        (Instrument(row["name"], 0, row["szDecimals"]), context)
        for row, context in pairs
        if context["premium"] is not None
    ]


def test_every_recorded_premium_follows_from_its_impact_prices():
    rows = recorded_contexts()
    assert len(rows) == 190
    for instrument, context in rows:
        bid, ask = (instrument.px_from_text(text) for text in context["impactPxs"])
        premium = premium_e10((bid, ask), instrument.px_from_text(str(context["oraclePx"])))
        assert premium == decimal_units(str(context["premium"]), 10, instrument.coin)


@pytest.mark.parametrize(
    ("coin", "sz_decimals", "bid", "ask", "oracle", "premium"),
    [
        ("BTC", 5, "66371", "66372", "66383", "-0.0001657051"),
        ("HYPE", 2, "34.303", "34.31", "34.277", "0.00075853"),
    ],
)
def test_the_premiums_of_the_reference(coin, sz_decimals, bid, ask, oracle, premium):
    instrument = Instrument(coin, 0, sz_decimals)
    impact = (instrument.px_from_text(bid), instrument.px_from_text(ask))
    value = premium_e10(impact, instrument.px_from_text(oracle))
    assert value == pytest.approx(int(Decimal(premium) * RATE_E10), abs=50 if coin == "HYPE" else 0)


def test_every_recorded_mark_stands_on_the_price_grid():
    for instrument, context in recorded_contexts():
        assert instrument.is_px_on_grid(instrument.px_from_text(str(context["markPx"])))


def test_impact_prices_walk_the_depth_for_the_coins_notional():
    bids = levels("BTC", ((100_000, 0.1), (99_000, 1.0)))
    asks = levels("BTC", ((100_010, 5.0),))
    left = 20_000 * USDC - bids[0][0] * bids[0][1]
    last = left // bids[1][0]
    average = (bids[0][0] * bids[0][1] + bids[1][0] * last) // (bids[0][1] + last)
    assert impact_pxs("BTC", bids, asks) == (average, px("BTC", 100_010))
    assert impact_pxs("BTC", bids[:1], asks) is None
    assert impact_pxs("ELSE", bids[:1], asks) == (bids[0][0], asks[0][0])


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        ("0.00029005", "0.0000125"),
        ("-0.0004", "0.0000125"),
        ("0.0006", "0.0000125"),
        ("0.0014", "0.0001125"),
        ("-0.0012", "-0.0000875"),
        ("0.9", "0.04"),
        ("-0.9", "-0.04"),
    ],
)
def test_the_rate_is_the_premium_pulled_to_the_interest_rate(premium, rate):
    expected = int(Decimal(rate) * RATE_E10)
    assert hourly_rate_e10(int(Decimal(premium) * RATE_E10)) == expected


# --- the mark ------------------------------------------------------------------------------------


def unmarked(
    ts_ns: int,
    *,
    bid: int = 0,
    ask: int = 0,
    last: int = 0,
    oracle: int,
    external: int | None = None,
) -> MarketTick:
    return MarketTick(
        ts_ns=ts_ns,
        coin="AAA",
        bids=((bid, 1_000),) if bid else (),
        asks=((ask, 1_000),) if ask else (),
        trades=((last, 1, True),) if last else (),
        mark_px=None,
        oracle_px=oracle,
        external_px=external,
    )


STEP = st.tuples(
    st.integers(0, 400_000),
    st.integers(-300, 300),
    st.integers(1, 60),
    st.sampled_from(["both", "both", "both", "bid", "ask", "none"]),
    st.integers(-200, 200),
    st.none() | st.integers(-200, 200),
    st.none() | st.integers(-300, 300),
)


@given(steps=st.lists(STEP, min_size=1, max_size=25), base=st.sampled_from([900, 50_000, 700_000]))
def test_the_mark_is_that_of_the_slow_twin(steps, base):
    venue = SimulatedExchange((COIN,), start_ns=0)
    pictures: list[twin.Picture] = []
    ts_ns = last = 0
    for elapsed_ms, step, spread, sides, gap, traded, external in steps:
        ts_ns += elapsed_ms * 1_000_000
        scale = max(1, base // 1_000)
        mid = max(2 * scale, base + step * scale)
        bid = mid if sides in ("both", "bid") else 0
        ask = mid + spread * scale if sides in ("both", "ask") else 0
        oracle = max(1, mid + gap * scale)
        last_now = 0 if traded is None else max(1, mid + traded * scale)
        other = None if external is None else max(1, mid + external * scale)
        venue.apply_market(
            unmarked(ts_ns, bid=bid, ask=ask, last=last_now, oracle=oracle, external=other)
        )
        last = last_now or last
        pictures.append(twin.Picture(ts_ns, bid, ask, last, oracle, other))
        exact, shown = twin.mark(pictures), venue.mark_px("AAA")
        assert COIN.is_px_on_grid(shown)
        rounding = Decimal(COIN.tick_units_at(max(1, int(exact) + 1))) / 2 + Decimal("0.51")
        assert abs(shown - exact) <= rounding


def test_a_local_order_moves_the_touch_that_marks():
    venue = SimulatedExchange((COIN,), start_ns=0)
    venue.apply_market(unmarked(NS_PER_S, bid=50_000, ask=50_100, oracle=50_000))
    assert venue.mark_px("AAA") == 50_050
    venue.fund(ALICE, 10_000 * USDC)
    order = OrderRequest(coin="AAA", is_buy=True, px=50_090, lots=5_000, tif=Tif.GTC)
    venue.place(ALICE, [order])
    venue.apply_market(unmarked(600 * NS_PER_S, bid=50_000, ask=50_100, oracle=50_000))
    assert 50_050 < venue.mark_px("AAA") <= 50_100


def test_a_given_mark_is_believed_and_an_empty_market_is_marked_at_the_oracle():
    market = Market()
    market.tick(mark=123_456.0)
    assert market.venue.mark_px("BTC") == px("BTC", 123_456)
    venue = SimulatedExchange((COIN,), start_ns=0)
    venue.apply_market(unmarked(NS_PER_S, oracle=77_777))
    assert venue.mark_px("AAA") == 77_777


def test_two_prices_are_joined_by_the_average_of_the_touch():
    venue = SimulatedExchange((COIN,), start_ns=0)
    venue.apply_market(unmarked(NS_PER_S, bid=10_000, ask=10_002, oracle=10_000, last=10_001))
    for second in range(2, 300):
        venue.apply_market(
            unmarked(second * NS_PER_S, bid=10_000, ask=10_002, oracle=10_000, last=10_001)
        )
    assert venue.mark_px("AAA") == 10_001
    # The touch leaps, the averages do not: the median of old basis, leap and 30 s average.
    venue.apply_market(unmarked(300 * NS_PER_S, bid=12_000, ask=12_002, oracle=10_000, last=12_001))
    assert 10_010 < venue.mark_px("AAA") < 10_100


def test_a_spot_pair_is_marked_at_its_touch_and_last_trade_and_has_no_funding():
    market = SpotMarket()
    pair = PAIRS[HYPE_PAIR]
    bid, ask, last = (pair.px_from_text(text) for text in ("34.89", "34.9", "34.899"))
    tick = MarketTick(
        START_NS + 1, HYPE_PAIR, ((bid, 10**6),), ((ask, 10**6),), ((last, 5, True),), None, 1
    )
    market.venue.apply_market(tick)
    assert market.venue.mark_px(HYPE_PAIR) == last
    market.venue.advance(START_NS + NS_PER_HOUR)
    assert market.venue.funding_rate_1h(HYPE_PAIR) == 0.0
    assert market.venue.premiums.paid(HYPE_PAIR) is None


# --- the venue's own funding ---------------------------------------------------------------------


def book_market(*, premium_px: int, oracle: int = 100_000) -> MarketTick:
    """A deep market whose impact bid stands ``premium_px`` above the oracle."""
    bid = oracle + premium_px
    return MarketTick(
        START_NS + 1, "HYPE", ((bid, 10**9),), ((bid + 1, 10**9),), (), bid, oracle, None
    )


def at(tick: MarketTick, ts_ns: int) -> MarketTick:
    return MarketTick(
        ts_ns, tick.coin, tick.bids, tick.asks, tick.trades, tick.mark_px, tick.oracle_px
    )


def test_funding_without_a_given_rate_is_the_average_premium_of_the_hour():
    market = Market()
    venue = market.venue
    market.fund(ALICE)
    venue.apply_market(book_market(premium_px=200))
    venue.place(ALICE, [limit(True, 10.2, 100, Tif.IOC, coin="HYPE")])
    half_ns = START_NS + NS_PER_HOUR // 2
    venue.apply_market(at(book_market(premium_px=600), half_ns))
    venue.drain()
    venue.advance(START_NS + NS_PER_HOUR)
    # 360 samples of 0.2 % up to and at the half hour, 360 of 0.6 % after it.
    average = (360 * RATE_E10 * 2 // 1_000 + 360 * RATE_E10 * 6 // 1_000) // 720
    rate = (average - RATE_E10 * 5 // 10_000) // 8
    (paid,) = [output for output in venue.drain() if isinstance(output, FundingOutput)]
    assert paid.rate_e10 == rate
    assert paid.funding_micro == -(10_000 * 100_000 * rate // RATE_E10)
    hour = venue.premiums.paid("HYPE")
    assert hour is not None
    assert (hour.hour_ns, hour.rate_e10, hour.premium_e10) == (
        START_NS + NS_PER_HOUR,
        rate,
        average,
    )
    assert venue.conservation_error_micro() == 0


def test_the_rate_shown_is_the_running_hours_estimate():
    market = Market()
    venue = market.venue
    venue.apply_market(book_market(premium_px=200))
    assert venue.funding_rate_1h("HYPE") == 0.0
    venue.advance(START_NS + 10 * NS_PER_S)
    assert venue.funding_rate_1h("HYPE") == (0.002 - 0.0005) / 8


def test_a_given_rate_ends_the_sampling_and_stays():
    market = Market()
    venue = market.venue
    venue.apply_market(book_market(premium_px=200))
    market.tick("HYPE", bids=((1.0, 9.0),), asks=((1.1, 9.0),), rate=0.0003)
    market.tick("HYPE", bids=((1.0, 9.0),), asks=((1.1, 9.0),))
    venue.advance(START_NS + 2 * NS_PER_HOUR)
    assert venue.funding_rate_1h("HYPE") == 0.0003


def test_an_hour_whose_depth_was_too_thin_pays_nothing():
    market = Market()
    venue = market.venue
    market.fund(ALICE)
    market.tick("HYPE", bids=((9.9, 5.0),), asks=((10.0, 5.0),))
    venue.place(ALICE, [limit(True, 10.0, 2, Tif.IOC, coin="HYPE")])
    venue.drain()
    venue.advance(START_NS + NS_PER_HOUR)
    assert not [output for output in venue.drain() if isinstance(output, FundingOutput)]
    assert venue.premiums.paid("HYPE") is None


@given(cuts=st.lists(st.integers(1, 3 * 3_600_000), max_size=12), has_holder=st.booleans())
def test_how_often_time_is_moved_changes_nothing(cuts, has_holder):
    def played(moments_ms: list[int]) -> str:
        market = Market()
        market.fund(ALICE)
        market.venue.apply_market(book_market(premium_px=300))
        if has_holder:
            market.venue.place(ALICE, [limit(True, 10.3, 100, Tif.IOC, coin="HYPE")])
        for moment in sorted(moments_ms):
            market.venue.advance(START_NS + moment * 1_000_000)
        market.venue.advance(START_NS + 3 * NS_PER_HOUR)
        return market.venue.state_hash()

    assert played(cuts) == played([])
