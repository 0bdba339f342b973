"""Statistics against values by hand or by definition, and reports that are valid JSON."""

from __future__ import annotations

import json
import math
import random
import statistics

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analytics import statistics as stats
from core.analytics.performance_tracker import PerformanceTracker, slippage_bps
from core.analytics.report import PerformanceReport
from core.analytics.summary import (
    UNKNOWN,
    attribution_tables,
    money_text,
    percent_text,
    summary_rows,
)
from core.model.account import EquityPoint
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN
from tests.analytics.fake_record import START_NS, Books, realistic_record


def curve(values: list[int], *, step_ns: int = NS_PER_MIN, gross: int = 0) -> list[EquityPoint]:
    return [
        EquityPoint(START_NS + i * step_ns, value, value, gross, 0.0)
        for i, value in enumerate(values)
    ]


def random_curve(seed: int, count: int, step_ns: int = NS_PER_MIN) -> list[EquityPoint]:
    rng, value, values = random.Random(seed), 10_000_000_000, []
    for _ in range(count):
        values.append(value)
        value = round(value * (1.0 + rng.gauss(0.0, 0.0005)))
    return curve(values, step_ns=step_ns)


# --- sampling -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "sampling", "count"),
    [
        (14 * NS_PER_DAY, NS_PER_HOUR, 336),
        (36 * NS_PER_HOUR, 15 * NS_PER_MIN, 144),
        (100 * NS_PER_DAY, NS_PER_DAY, 100),
        (30 * NS_PER_MIN, NS_PER_MIN, 30),
    ],
)
def test_the_longest_interval_that_gives_enough_returns_is_used(
    span: int, sampling: int, count: int
) -> None:
    equity = [
        EquityPoint(START_NS, 100, 100, 0, 0.0),
        EquityPoint(START_NS + span, 110, 110, 0, 0.0),
    ]
    sampled = stats.sampled_returns(equity)
    assert sampled is not None
    assert (sampled[0], len(sampled[1])) == (sampling, count)
    assert sampled[1][-1] == pytest.approx(0.1)
    assert not sampled[1][:-1].any()


def test_between_points_the_last_known_equity_holds() -> None:
    step = NS_PER_MIN
    points = [(0, 100), (40, 100), (41, 110), (41, 120), (59, 120)]
    equity = [EquityPoint(START_NS + t * step + t % 7, v, v, 0, 0.0) for t, v in points]
    sampled = stats.sampled_returns(equity)
    assert sampled is not None
    nonzero = np.flatnonzero(sampled[1])
    assert sampled[1][nonzero] == pytest.approx([0.2])


@pytest.mark.parametrize(
    "equity",
    [[], curve([1]), curve([100] * 30), curve([100] * 60 + [0]), curve([-5] * 60)],
    ids=["none", "one", "short", "ruined", "negative"],
)
def test_too_little_is_no_answer(equity: list[EquityPoint]) -> None:
    assert stats.sampled_returns(equity) is None


# --- ratios -------------------------------------------------------------------------------------


def test_sharpe_and_its_error_follow_their_definitions() -> None:
    rng = random.Random(5)
    returns = [rng.gauss(0.0002, 0.001) for _ in range(400)]
    mean, std = statistics.fmean(returns), statistics.stdev(returns)
    ratio, root = mean / std, math.sqrt(365 * 24)
    scores = [(r - mean) / statistics.pstdev(returns) for r in returns]
    skew = statistics.fmean(s**3 for s in scores)
    kurtosis = statistics.fmean(s**4 for s in scores)
    variance = (1 + ratio**2 / 2 - skew * ratio + (kurtosis - 3) / 4 * ratio**2) / 400
    found = stats.sharpe_ratio(np.array(returns), NS_PER_HOUR)
    assert found is not None
    assert found.value == pytest.approx(ratio * root)
    assert found.standard_error == pytest.approx(math.sqrt(variance) * root)


def test_the_error_of_sharpe_is_the_spread_of_repetitions() -> None:
    rng = np.random.default_rng(11)
    found = [stats.sharpe_ratio(rng.normal(0.05, 1.0, 250), NS_PER_DAY) for _ in range(400)]
    values = [each.value for each in found if each]
    errors = [each.standard_error for each in found if each]
    assert len(values) == 400
    assert statistics.stdev(values) == pytest.approx(statistics.fmean(errors), rel=0.12)


def test_sortino_follows_its_definition() -> None:
    returns = np.array([0.02, -0.01, 0.03, -0.02])
    downside = math.sqrt((0.01**2 + 0.02**2) / 4)
    expected = 0.005 / downside * math.sqrt(365)
    assert stats.sortino_ratio(returns, NS_PER_DAY) == pytest.approx(expected)


def test_ratios_of_a_curve_that_never_moves_or_never_falls_are_unknown() -> None:
    assert stats.sharpe_ratio(np.zeros(100), NS_PER_DAY) is None
    assert stats.sharpe_ratio(np.zeros(1), NS_PER_DAY) is None
    assert stats.sortino_ratio(np.full(100, 0.01), NS_PER_DAY) is None
    assert stats.sortino_ratio(np.empty(0), NS_PER_DAY) is None


def test_calmar_is_annual_growth_over_drawdown() -> None:
    equity = curve([1000, 900, 1100], step_ns=365 * NS_PER_DAY // 2)
    drawdown = stats.deepest_drawdown(equity)
    assert stats.calmar_ratio(equity, drawdown) == pytest.approx(0.1 / 0.1)
    short = curve([1000, 900, 1100], step_ns=NS_PER_DAY)
    assert stats.calmar_ratio(short, stats.deepest_drawdown(short)) is None
    rising = curve([1000, 1100], step_ns=30 * NS_PER_DAY)
    assert stats.calmar_ratio(rising, stats.deepest_drawdown(rising)) is None
    absurd = curve([1000, 999, 10**9], step_ns=4 * NS_PER_DAY)
    assert stats.calmar_ratio(absurd, stats.deepest_drawdown(absurd)) is None


# --- drawdown -----------------------------------------------------------------------------------


def test_drawdown_with_recovery() -> None:
    found = stats.deepest_drawdown(curve([100, 120, 90, 110, 120, 115]))
    assert found is not None
    assert (found.ratio, found.amount_micro) == (0.25, 30)
    assert found.peak_ns == START_NS + NS_PER_MIN
    assert found.trough_ns == START_NS + 2 * NS_PER_MIN
    assert found.recovered_ns == START_NS + 4 * NS_PER_MIN
    assert found.duration_ns == 3 * NS_PER_MIN


def test_drawdown_that_lasts_to_the_end() -> None:
    found = stats.deepest_drawdown(curve([100, 80, 90]))
    assert found is not None
    assert (found.recovered_ns, found.duration_ns) == (None, 2 * NS_PER_MIN)


def test_a_rising_curve_has_no_drawdown_and_an_empty_one_none_at_all() -> None:
    rising = stats.deepest_drawdown(curve([1, 2, 3]))
    assert rising is not None
    assert (rising.ratio, rising.amount_micro, rising.duration_ns) == (0.0, 0, 0)
    assert stats.deepest_drawdown([]) is None
    assert stats.deepest_drawdown(curve([0, 5])) is None


@given(values=st.lists(st.integers(1, 1_000), min_size=1, max_size=40))
def test_drawdown_is_the_worst_of_all_pairs(values: list[int]) -> None:
    found = stats.deepest_drawdown(curve(values))
    worst = max(
        1 - values[j] / values[i] for i in range(len(values)) for j in range(i, len(values))
    )
    assert found is not None
    assert found.ratio == pytest.approx(worst, abs=1e-12)


def test_averages_weigh_by_time() -> None:
    equity = [
        EquityPoint(START_NS, 100, 100, 50, 0.0),
        EquityPoint(START_NS + 3 * NS_PER_MIN, 200, 200, 0, 0.0),
        EquityPoint(START_NS + 4 * NS_PER_MIN, 300, 300, 900, 0.0),
    ]
    assert stats.time_mean(equity) == pytest.approx((125.0, 0.75, 0.375))
    assert stats.time_mean(equity[:1]) is None
    assert stats.time_mean([]) is None


# --- the report ---------------------------------------------------------------------------------


def test_trades_are_counted_with_their_fees() -> None:
    books = Books()
    books.mark()
    for gain, fee in ((100, 10_000), (5, 10_000), (-40, 10_000)):
        books.now_ns += NS_PER_MIN
        books.trade("BTC", 1_000, 943_000, fee_micro=fee)
        books.now_ns += 10 * NS_PER_MIN
        books.trade("BTC", -1_000, 943_000 + gain, fee_micro=0)
    books.mark()
    trades = PerformanceTracker().track_metrics(books.record()).trades
    assert (trades.trade_count, trades.win_count, trades.open_count) == (3, 1, 0)
    assert trades.win_rate == pytest.approx(1 / 3)
    assert trades.profit_factor == pytest.approx(90_000 / (5_000 + 50_000))
    assert trades.expectancy_micro == round((90_000 - 5_000 - 50_000) / 3)
    assert trades.win_mean_micro == 90_000
    assert trades.loss_mean_micro == -27_500
    assert trades.hold_mean_ns == 10 * NS_PER_MIN


def test_slippage_is_signed_against_us_and_weighted() -> None:
    books = Books()
    books.trade("BTC", 100, 1_000_100, arrival_mid_x2=2_000_000)
    assert slippage_bps(books.fills) == pytest.approx(1.0)
    books.trade("BTC", -300, 1_000_100, arrival_mid_x2=2_000_000, is_maker=True)
    assert slippage_bps(books.fills) == pytest.approx((1.0 - 3.0) / 4)
    books.trade("BTC", 200, 1_500_000, arrival_mid_x2=0)
    report = PerformanceTracker().track_metrics(books.record())
    assert report.execution.slippage_bps == pytest.approx(-0.5)
    assert report.execution.slippage_taker_bps == pytest.approx(1.0)
    assert report.execution.slippage_fill_count == 2
    assert report.execution.maker_fill_count == 1
    assert slippage_bps(books.fills[2:]) is None


def no_unreadable_number(text: str) -> None:
    json.loads(text, parse_constant=lambda name: pytest.fail(f"JSON holds {name}"))


@given(seed=st.integers(0, 2**32 - 1), minutes=st.sampled_from((1, 29, 200)))
@settings(max_examples=20, deadline=None)
def test_reports_are_valid_json_whatever_the_session(seed: int, minutes: int) -> None:
    report = PerformanceTracker().track_metrics(realistic_record(seed, minutes=minutes))
    text = msgspec.json.encode(report).decode()
    no_unreadable_number(text)
    assert ":null" in text or minutes == 200
    assert msgspec.json.decode(text, type=PerformanceReport) == report


def test_an_empty_session_has_a_report_full_of_dashes() -> None:
    record = Books().record(equity=(), prices={}, fills=())
    report = PerformanceTracker().track_metrics(record)
    no_unreadable_number(msgspec.json.encode(report).decode())
    assert report.return_ratio is None
    assert report.trades.win_rate is None
    assert report.risk.sharpe is None
    assert report.execution.turnover_ratio is None
    values = {row.label: row.value for row in summary_rows(report)}
    for label in ("Return", "Win rate", "Sharpe", "Max drawdown", "Slippage", "Turnover"):
        assert values[label] == UNKNOWN, label


def test_the_report_agrees_with_its_parts() -> None:
    record = realistic_record(3)
    report = PerformanceTracker().track_metrics(record)
    assert report.net_pnl_micro == report.equity_end_micro - report.equity_start_micro
    assert report.trades.trade_count == report.attribution.total.trade_count
    assert report.execution.fill_count == len(record.fills)
    means = stats.time_mean(record.equity)
    assert means is not None
    assert report.execution.turnover_ratio == report.execution.traded_micro / means[0]
    assert report.risk.drawdown is not None
    deepest = max(point.drawdown for point in record.equity)
    assert report.risk.drawdown.ratio == pytest.approx(deepest)


# --- the summary --------------------------------------------------------------------------------


def test_the_summary_says_what_the_report_says() -> None:
    report = PerformanceTracker().track_metrics(realistic_record(7))
    rows = {row.label: row for row in summary_rows(report)}
    assert rows["Net PnL"].value == money_text(report.net_pnl_micro)
    assert rows["Net PnL"].sign == (report.net_pnl_micro > 0) - (report.net_pnl_micro < 0)
    assert rows["  Fees"].value == money_text(-report.attribution.fees_micro)
    assert "±" in rows["Sharpe"].value
    assert "144 returns of 15 min" in rows["Sharpe"].unit
    assert rows["Rejected by the venue"].value == "1"
    assert {row.group for row in rows.values()} == {"Result", "Trades", "Risk", "Orders"}
    assert "Transfers and unseen" not in rows


def test_every_attribution_table_ends_with_the_total() -> None:
    report = PerformanceTracker().track_metrics(realistic_record(7))
    tables = attribution_tables(report)
    assert list(tables) == ["Strategy", "Coin", "Regime", "Side", "Hour (UTC)"]
    assert all(rows[-1].key == "total" for rows in tables.values())
    assert {rows[-1].net for rows in tables.values()} == {money_text(report.net_pnl_micro)}


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0.00"),
        (4_999, "0.00"),
        (-4_999, "0.00"),
        (5_001, "+0.01"),
        (-1_234_567_890, "-1,234.57"),
        (1_234_567_890_123, "+1,234,567.89"),
    ],
)
def test_money_reads_well(micro: int, text: str) -> None:
    assert money_text(micro) == text


def test_percentages_read_well() -> None:
    assert percent_text(None) == UNKNOWN
    assert percent_text(0.1234) == "12.34"
    assert percent_text(-0.001, is_signed=True, digits=1) == "-0.1"
