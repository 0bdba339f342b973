"""Every micro-USDC has a line: round trips, attribution and their exact sums."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analytics.pnl_analyzer import LOOSE_KEY, PnLAnalyzer
from core.analytics.report import Attribution, AttributionRow
from core.analytics.trades import round_trips
from core.model.codes import Purpose, Regime
from core.model.record import FundingRow, SessionRecord
from core.model.time import NS_PER_HOUR, NS_PER_MIN
from tests.analytics.fake_record import BTC, ETH, START_NS, Books, realistic_record

BTC_PX = 943_000  # 94,300.0 USDC


def tables(split: Attribution) -> dict[str, tuple[AttributionRow, ...]]:
    return {
        "strategy": split.by_strategy,
        "coin": split.by_coin,
        "regime": split.by_regime,
        "side": split.by_side,
        "hour": split.by_hour,
    }


def check_sums(record: SessionRecord, split: Attribution) -> None:
    assert split.net_pnl_micro == split.price_pnl_micro - split.fees_micro + split.funding_micro
    assert split.equity_change_micro == (
        split.net_pnl_micro + split.mark_micro + split.transfer_micro
    )
    assert split.fees_micro == sum(f.fill.fee_micro for f in record.fills)
    assert split.funding_micro == sum(row.funding_micro for row in record.funding)
    assert split.total.traded_micro == sum(f.fill.notional_micro for f in record.fills)
    for name, rows in tables(split).items():
        assert len({row.key for row in rows}) == len(rows), name
        for field in AttributionRow.__struct_fields__[1:]:
            total = sum(getattr(row, field) for row in rows)
            assert total == getattr(split.total, field), f"{field} by {name}"
        for row in rows:
            assert row.net_pnl_micro == row.price_pnl_micro - row.fees_micro + row.funding_micro


@given(
    seed=st.integers(0, 2**32 - 1),
    chance=st.sampled_from((0.0, 0.01, 0.2)),
    is_flat=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_all_tables_sum_to_the_change_of_equity(seed: int, chance: float, is_flat: bool) -> None:
    record = realistic_record(seed, minutes=150, trade_chance=chance, is_flat=is_flat)
    split = PnLAnalyzer().analyze_pnl(record)
    check_sums(record, split)
    # The fake's mark is its candle, so an open position leaves nothing over either.
    assert split.mark_micro == 0
    assert split.transfer_micro == 0
    assert split.equity_change_micro == split.net_pnl_micro
    if is_flat:
        assert split.open_pnl_micro == 0


def opened(books: Books) -> None:
    books.mark()
    books.now_ns += NS_PER_MIN


def test_a_round_trip_by_hand() -> None:
    books = Books()
    opened(books)
    books.trade("BTC", 1_000, BTC_PX, fee_micro=424_350, strategy="scalping")
    books.now_ns += NS_PER_HOUR
    books.pay_funding("BTC", -1_250)
    books.trade("BTC", -400, BTC_PX + 100, fee_micro=56_586, purpose=Purpose.TARGET)
    books.now_ns += NS_PER_MIN
    books.trade("BTC", -600, BTC_PX - 50, fee_micro=254_597, purpose=Purpose.STOP)
    books.mark()
    trips, loose = round_trips(books.record())
    assert loose == ()
    (trip,) = trips
    assert trip.price_pnl_micro == 400 * 100 - 600 * 50
    assert trip.fees_micro == 424_350 + 56_586 + 254_597
    assert trip.funding_micro == -1_250
    assert trip.net_pnl_micro == 10_000 - 735_533 - 1_250
    assert (trip.lots_max, trip.coins_max, trip.fill_count) == (1_000, 0.01, 3)
    assert trip.entry_price == 94_300.0
    assert trip.exit_price == pytest.approx((400 * 94_310.0 + 600 * 94_295.0) / 1_000)
    assert trip.exit_purpose == "stop"
    assert trip.close_ns is not None
    assert trip.close_ns - trip.open_ns == NS_PER_HOUR + NS_PER_MIN
    assert trip.is_long
    assert not trip.is_adopted


def test_a_reversal_ends_one_trip_and_begins_another_with_the_fee_cut_exactly() -> None:
    books = Books()
    opened(books)
    books.trade("BTC", 300, BTC_PX, fee_micro=0)
    books.now_ns += NS_PER_MIN
    books.trade("BTC", -1_000, BTC_PX + 10, fee_micro=101, strategy="grid_trading")
    books.now_ns += NS_PER_MIN
    books.trade("BTC", 700, BTC_PX + 10, fee_micro=7)
    books.mark()
    first, second = round_trips(books.record())[0]
    assert (first.is_long, second.is_long) == (True, False)
    assert (first.fees_micro, second.fees_micro) == (30, 71 + 7)
    assert (first.price_pnl_micro, second.price_pnl_micro) == (3_000, 0)
    assert (first.strategy, second.strategy) == ("scalping", "grid_trading")
    assert first.traded_micro + second.traded_micro == sum(
        f.fill.notional_micro for f in books.fills
    )


def test_a_trip_belongs_whole_to_what_opened_it() -> None:
    books = Books(start_ns=START_NS + 5 * NS_PER_HOUR)
    opened(books)
    books.trade("ETH", -500, 181_000, strategy="trend_following", regime=Regime.TRENDING)
    books.now_ns += 3 * NS_PER_HOUR
    books.trade("ETH", 500, 180_000, strategy="mean_reversion", regime=Regime.CALM)
    books.mark()
    split = PnLAnalyzer().analyze_pnl(books.record())
    keys = {name: [row.key for row in rows] for name, rows in tables(split).items()}
    assert keys == {
        "strategy": ["trend_following"],
        "coin": ["ETH"],
        "regime": ["trending"],
        "side": ["short"],
        "hour": ["05:00"],
    }
    assert split.by_coin[0].trade_count == split.by_coin[0].win_count == 1


def test_an_open_position_is_valued_at_the_last_candle_and_the_mark_is_told_apart() -> None:
    books = Books()
    opened(books)
    books.trade("BTC", 1_000, BTC_PX, fee_micro=0)
    books.px["BTC"] = BTC_PX + 40
    books.mark()
    record = books.record()
    split = PnLAnalyzer().analyze_pnl(record)
    assert split.open_pnl_micro == split.net_pnl_micro == 40_000
    assert (split.total.trade_count, split.mark_micro) == (0, 0)
    (trip,) = round_trips(record)[0]
    assert (trip.close_ns, trip.exit_price, trip.is_closed) == (None, None, False)
    books.px["BTC"] = BTC_PX + 43  # the mark moves after the candle closed
    books.equity.pop()
    prices = {coin: list(points) for coin, points in books.prices.items()}
    books.mark()
    books.prices = prices
    split = PnLAnalyzer().analyze_pnl(books.record())
    assert (split.net_pnl_micro, split.mark_micro, split.transfer_micro) == (40_000, 3_000, 0)
    check_sums(books.record(), split)


def test_a_deposit_is_no_profit() -> None:
    books = Books()
    opened(books)
    books.trade("BTC", 100, BTC_PX, fee_micro=5)
    books.cash_micro += 250_000_000
    books.trade("BTC", -100, BTC_PX, fee_micro=5)
    books.mark()
    split = PnLAnalyzer().analyze_pnl(books.record())
    assert (split.net_pnl_micro, split.transfer_micro, split.mark_micro) == (-10, 250_000_000, 0)


def test_a_position_from_before_is_taken_over_at_the_price_of_the_start() -> None:
    books = Books()
    books.positions["ETH"] = 2_000
    books.mark()
    books.now_ns += NS_PER_MIN
    books.px["ETH"] += 500
    books.trade("ETH", -2_000, books.px["ETH"], fee_micro=11)
    books.mark()
    record = books.record()
    (trip,) = round_trips(record)[0]
    assert trip.is_adopted
    assert trip.price_pnl_micro == 2_000 * 500
    assert trip.open_ns == record.start_ns
    split = PnLAnalyzer().analyze_pnl(record)
    assert split.equity_change_micro == split.net_pnl_micro
    check_sums(record, split)


@pytest.mark.parametrize("seen_after", [0, 700, -300], ids=["closed", "grown", "reversed"])
def test_a_hole_in_the_fills_does_not_break_the_sums(seen_after: int) -> None:
    books = Books()
    opened(books)
    books.trade("BTC", 400, BTC_PX, fee_micro=3)
    books.now_ns += NS_PER_MIN
    books.positions["BTC"] = seen_after  # something happened that we did not see
    books.trade("BTC", 100, BTC_PX + 7, fee_micro=3)
    books.mark()
    record = books.record()
    trips, _ = round_trips(record)
    assert sum(t.lots_max > 0 for t in trips) == len(trips)
    check_sums(record, PnLAnalyzer().analyze_pnl(record))


def test_funding_without_a_known_position_has_a_line_of_its_own() -> None:
    books = Books()
    opened(books)
    books.pay_funding("SOL", 77)
    books.mark()
    split = PnLAnalyzer().analyze_pnl(books.record())
    assert [row.key for row in split.by_strategy] == [LOOSE_KEY]
    assert [row.key for row in split.by_coin] == ["SOL"]
    check_sums(books.record(), split)


def test_funding_of_one_instant_is_due_on_the_position_before() -> None:
    books = Books()
    opened(books)
    books.trade("BTC", 100, BTC_PX, fee_micro=0)
    books.now_ns += NS_PER_HOUR
    books.trade("BTC", -100, BTC_PX, fee_micro=0)
    record = books.record(funding=(FundingRow(books.now_ns, "BTC", -9),))
    assert round_trips(record)[0][0].funding_micro == -9


def test_nothing_at_all_is_all_zero() -> None:
    record = Books().record(equity=(), prices={})
    split = PnLAnalyzer().analyze_pnl(record)
    assert split.total == AttributionRow(
        key="total",
        price_pnl_micro=0,
        fees_micro=0,
        funding_micro=0,
        net_pnl_micro=0,
        traded_micro=0,
        trade_count=0,
        win_count=0,
    )
    assert all(rows == () for rows in tables(split).values())


def test_liquidations_and_foreign_orders_are_named_as_the_way_out() -> None:
    books = Books()
    opened(books)
    books.trade("BTC", 100, BTC_PX)
    books.trade("BTC", -100, BTC_PX, purpose=None)
    assert round_trips(books.record())[0][0].exit_purpose == "foreign"
    assert BTC.coin != ETH.coin
