"""Bars from ticks and bars from bars."""

from __future__ import annotations

import datetime as dt

import pytest

from core.model.market import Candle
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN
from core.simulation.market.candles import (
    INTERVALS_NS,
    CandleBuilder,
    CandleHistory,
    bar_span,
    merge_candles,
)
from tests.simulation_server.venue import START_NS, btc_tick


def test_builder_tracks_prints_and_counts_them() -> None:
    builder = CandleBuilder(NS_PER_MIN)
    builder.add(btc_tick(1, 100, 101, trades=((100, 5, False), (103, 1, True))))
    candle = builder.add(btc_tick(30, 98, 99, trades=((98, 2, False),)))
    assert candle == Candle(START_NS, 1000, 1030, 980, 980, 8)
    assert builder.trade_count == 3


def test_bar_without_prints_stands_at_the_close_before() -> None:
    builder = CandleBuilder(NS_PER_MIN)
    builder.add(btc_tick(1, 100, 101, trades=((100, 5, False),)))
    quiet = builder.add(btc_tick(61, 110, 111))
    assert quiet == Candle(START_NS + NS_PER_MIN, 1000, 1000, 1000, 1000, 0)
    traded = builder.add(btc_tick(90, 110, 111, trades=((110, 1, True),)))
    assert traded == Candle(START_NS + NS_PER_MIN, 1100, 1100, 1100, 1100, 1)


def test_merge_ignores_prices_of_bars_without_volume() -> None:
    minutes = [
        Candle(START_NS, 10, 10, 10, 10, 0),
        Candle(START_NS + NS_PER_MIN, 20, 25, 15, 22, 3),
        Candle(START_NS + 2 * NS_PER_MIN, 22, 22, 22, 22, 0),
        Candle(START_NS + 5 * NS_PER_MIN, 30, 31, 29, 30, 1),
    ]
    assert merge_candles(minutes, 5 * NS_PER_MIN) == [
        Candle(START_NS, 20, 25, 15, 22, 3),
        Candle(START_NS + 5 * NS_PER_MIN, 30, 31, 29, 30, 1),
    ]


def test_history_joins_what_was_before_and_what_came() -> None:
    before = [Candle(START_NS - NS_PER_MIN, 990, 990, 990, 990, 1)]
    history = CandleHistory(before)
    assert history.running is None
    history.add(btc_tick(1, 100, 101, trades=((100, 5, False),)))
    history.add(btc_tick(61, 100, 101, trades=((101, 5, True),)))
    every = history.candles(NS_PER_MIN, START_NS - NS_PER_MIN, START_NS + 10**12, 10)
    assert [c.close_px for c in every] == [990, 1000, 1010]
    assert history.candles(NS_PER_MIN, START_NS, START_NS + 10**12, 1) == every[-1:]
    five = 5 * NS_PER_MIN
    assert history.running_bar(five) == (Candle(START_NS, 1000, 1010, 1000, 1010, 10), 2)
    history.add(btc_tick(70, 100, 101, trades=((102, 1, True),)))
    assert history.running_bar(five) == (Candle(START_NS, 1000, 1020, 1000, 1020, 11), 3)


def test_prints_of_local_accounts_are_part_of_every_bar() -> None:
    history = CandleHistory()
    assert history.running_bar(NS_PER_HOUR) is None
    history.add(btc_tick(1, 100, 101, trades=((100, 5, False),)))
    hour = history.running_bar(NS_PER_HOUR)
    history.add_print(START_NS + 2 * 10**9, 1030, 4)
    history.add_print(START_NS + 70 * 10**9, 970, 1)
    minutes = history.counted_candles(NS_PER_MIN, START_NS, START_NS + 10**12, 10)
    assert minutes == [
        (Candle(START_NS, 1000, 1030, 1000, 1030, 9), 2),
        (Candle(START_NS + NS_PER_MIN, 970, 970, 970, 970, 1), 1),
    ]
    assert hour == (Candle(START_NS, 1000, 1000, 1000, 1000, 5), 1)
    bar = Candle(START_NS, 1000, 1030, 970, 970, 10), 3
    assert history.running_bar(NS_PER_HOUR) == bar
    assert history.counted_candles(NS_PER_HOUR, START_NS, START_NS, 1) == [bar]


def _day_ns(*day: int) -> int:
    return (dt.date(*day) - dt.date(1970, 1, 1)).days * NS_PER_DAY


@pytest.mark.parametrize(
    ("moment", "first", "after"),
    [
        ((2024, 2, 29), (2024, 2, 1), (2024, 3, 1)),
        ((2025, 12, 31), (2025, 12, 1), (2026, 1, 1)),
        ((2026, 1, 1), (2026, 1, 1), (2026, 2, 1)),
    ],
)
def test_monthly_bars_follow_the_calendar(
    moment: tuple[int, int, int], first: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    span = (_day_ns(*first), _day_ns(*after))
    assert bar_span(_day_ns(*moment) + 7, INTERVALS_NS["1M"]) == span
    assert bar_span(span[1] - 1, INTERVALS_NS["1M"]) == span
